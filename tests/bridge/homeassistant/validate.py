"""Hold discovery payloads against Home Assistant's own schema; runs in its environment.

Standard input: a JSON object, payloads by component and object. Each is validated as a discovered
configuration of its component; the exit code is 1 where one is refused, with the reason. A
blueprint may be named as an argument: it is validated, too.
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> int:
    import voluptuous
    from homeassistant.const import __version__

    code = 0
    for key, payload in json.load(sys.stdin).items():
        component = key.partition("/")[0]
        module = importlib.import_module(f"homeassistant.components.mqtt.{component}")
        try:
            module.DISCOVERY_SCHEMA(payload)
        except voluptuous.Invalid as error:
            print(f"{key}: {error}")
            code = 1
    for path in sys.argv[1:]:
        code |= _blueprint(path)
    print(f"Home Assistant {__version__}")
    return code


def _blueprint(path: str) -> int:
    import voluptuous
    from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
    from homeassistant.util.yaml import parse_yaml

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            BLUEPRINT_SCHEMA(parse_yaml(file))
    except voluptuous.Invalid as error:
        print(f"{path}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
