"""RESULTS.md: tables between marks; everything else is written by hand."""

from . import paths

RESULTS = paths.BENCHES / "RESULTS.md"


def table(rows: list[str]) -> str:
    return "\n".join(["| run | figure | value |", "|---|---|---:|", *rows])


def row(*cells) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def write(marks: tuple[str, str], text: str) -> None:
    """Puts a table between its marks."""
    before, start, rest = RESULTS.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (start and end):
        raise SystemExit(f"{RESULTS} has lost the marks {marks[0].strip()} … {marks[1]}")
    RESULTS.write_text(f"{before}{marks[0]}{text}\n{marks[1]}{after}")
