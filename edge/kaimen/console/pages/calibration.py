"""Calibration: the curve, the threshold, other thresholds, groups, and drift."""

from __future__ import annotations

import datetime
import math

from starlette.responses import JSONResponse, Response

from kaimen.audit.passages import passages_of
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.navigation import NavigationEntry
from kaimen.console.page import Page, act, view
from kaimen.console.roles import Role
from kaimen.errors import GalleryError
from kaimen.monitoring.calibration_report import YEAR, CalibrationReport, report_of
from kaimen.monitoring.drift import FACTOR


async def show(exchange: Exchange) -> Response:
    """Show the figures of the calibration in use, or what to do first."""
    try:
        report = await _report(exchange)
    except GalleryError as error:
        return exchange.page(
            "calibration/page.html",
            report=None,
            why=exchange.sentence(str(error)),
            enrolled=exchange.installation.settings.gallery.file.exists(),
        )
    return exchange.page(
        "calibration/page.html",
        report=report,
        learned=report.calibration,
        factor=FACTOR,
        misfit=await exchange.work(lambda: exchange.installation.arming.roster_misfit),
    )


async def figures(exchange: Exchange) -> Response:
    """Return the same figures for the page's plots."""
    return JSONResponse((await _report(exchange)).fields)


def what_if(exchange: Exchange) -> Response:
    """Show what another threshold would do."""
    try:
        threshold = float(exchange.request.query_params.get("threshold", ""))
    except ValueError:
        threshold = math.nan
    if not -1 <= threshold <= 1:
        raise RefusedRequest(422, "Choose a threshold from -1 to 1.")
    arming = exchange.installation.arming
    found = arming.scores.at(threshold)
    return exchange.page("calibration/what_if.html", found=found, learned=arming.calibration)


def mended(exchange: Exchange) -> Response:
    """Count drift from now on."""
    exchange.audit("said that drift is mended")
    exchange.installation.arming.count_drift_anew(datetime.datetime.now(datetime.UTC))
    exchange.say("Drift is counted from now on.")
    return exchange.see("/calibration")


async def _report(exchange: Exchange) -> CalibrationReport:
    """Read the log beside the worker thread, and the rest on it."""
    now = datetime.datetime.now(datetime.UTC)
    installation = exchange.installation

    def log_key() -> bytes:
        _ = installation.arming.calibration  # without one, no log is read
        return installation.log_key

    key = await exchange.work(log_key)
    passages = await exchange.aside(passages_of, installation.log_folder, key, now - YEAR)
    return await exchange.work(lambda: report_of(installation, now=now, passages=passages))


PAGE = Page(
    name="calibration",
    navigation=NavigationEntry("Calibration", "/calibration", Role.ADMIN),
    routes=(
        view("/calibration", show, role=Role.ADMIN),
        view("/calibration/figures", figures, role=Role.ADMIN),
        view("/calibration/what-if", what_if, role=Role.ADMIN),
        act("/calibration/mended", mended, role=Role.ADMIN),
    ),
)
