"""The operator's desk: pages in a browser, served by the gate itself. Needs the extra "console"."""
