"""Stage read: the submitted file becomes a tidy table, its meta indicators, a description."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "common"))

from reading.cells import CELLS
from reading.choose import data_sheet
from reading.layout import INDEX, Layout, find_layout
from reading.tidy import Tidy, tidy
from reading.times import offset
from readkit.delimited import load_csv
from readkit.excel import Workbook
from readkit.meta import Meta, meta_sheet, no_meta, read_meta
from readkit.parquet import load_parquet
from readkit.table import Table, blank_to_null
from readkit.unpack import SCRATCH, Source, opened
from stagekit import program
from stagekit.files import write_json
from stagekit.problems import Problem, StageError
from stagekit.tables import write_parquet

__all__ = ["CELLS", "main", "parse"]


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="the submitted file")
    parser.add_argument("--output", type=Path, required=True, help="the tidy table (parquet)")
    parser.add_argument("--meta", type=Path, required=True, help="the meta indicators (parquet)")
    parser.add_argument("--source", type=Path, required=True, help="where all came from (JSON)")
    parser.add_argument("--cells", type=Path, required=True, help="cells that are no numbers")
    parser.add_argument("--sheet", help="name of the data sheet")
    parser.add_argument("--no-meta", action="store_true", help="leave the meta sheet to others")
    parser.add_argument("--error", type=Path, help="where an error is described (JSON)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Read ``args.input`` and write the four outputs, or none of them.

    Raises
    ------
    StageError
        If the file cannot be read as one table with the IAMC columns and a value in it. What is
        wrong with single cells and names is not refused here: stage check reports it all.
    """
    scratch = args.output.parent
    scratch.mkdir(parents=True, exist_ok=True)
    for left in scratch.glob(f"{SCRATCH}*"):  # of an attempt that was killed
        shutil.rmtree(left)
    with ExitStack() as stack:
        source = stack.enter_context(opened(args.input, scratch))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH, dir=scratch)))
        table, meta, sheets = _load(source, args.sheet or None, folder, not args.no_meta)
        layout = find_layout(table)
        read = tidy(table, layout)
        if read.datapoints == 0 and read.cells.is_empty():
            raise _no_data(table)
        document = _describe(table, layout, read, meta, sheets)
        _write(args, read, meta, document)
    print(f"{read.datapoints} datapoints read from {table.place} ({layout.kind}, {layout.time})")


def _load(
    source: Source, sheet: str | None, scratch: Path, with_meta: bool
) -> tuple[Table, Meta, str | None]:
    """Give the data table, the meta indicators and the name of the meta sheet."""
    if source.kind in ("csv", "parquet"):
        if sheet is not None:
            message = f"{source.name} has no sheets, but the sheet {sheet!r} was asked for."
            raise StageError("unknown_sheet", message)
        table = load_csv(source, scratch, INDEX) if source.kind == "csv" else load_parquet(source)
        return table, no_meta(), None
    book = Workbook(source)
    chosen = data_sheet(book, source.name, sheet)
    table = book.load(chosen)
    name = meta_sheet(book.sheets) if with_meta else None
    if name is None or name == chosen:
        return table, no_meta(), None
    return table, read_meta(book.load(name)), name


def _no_data(table: Table) -> StageError:
    message = (
        f"{table.place} has no data: its header is in order, but no cell below it holds a value. "
        "Was an empty template submitted?"
    )
    return StageError("no_data", message)


def _describe(
    table: Table, layout: Layout, read: Tidy, meta: Meta, meta_name: str | None
) -> dict[str, Any]:
    """Give the content of ``source.json``."""
    used: dict[str, int] = dict(layout.index)
    if layout.when is not None and layout.value is not None:
        used |= {"time" if layout.time == "datetime" else "year": layout.when}
        used |= {"value": layout.value}
    columns = {name: table.letter(i) for name, i in used.items()}
    columns |= {_label(table, layout, i): table.letter(i) for i in layout.times}
    problems = [*_unnamed(table, layout), *_extra(table, layout), *meta.problems]
    return {
        "file": table.file,
        "sheet": table.sheet,
        "layout": layout.kind,
        "time": layout.time,
        "utc_offset": _offset(table, layout),
        "header_row": table.header_row,
        "columns": columns,
        "datapoints": read.datapoints,
        "meta_sheet": meta_name,
        "meta_rows": meta.rows,
        "meta_columns": meta.columns,
        "problems": [asdict(problem) for problem in problems],
    }


def _offset(table: Table, layout: Layout) -> str | None:
    """Give the one offset that the file's times have: the tidy table keeps them in UTC."""
    if layout.time != "datetime":
        return None
    if layout.when is None:
        return offset(table.header[i].strip() for i in layout.times)
    [when] = table.texts([layout.when])
    return offset(text.strip() for text in when.drop_nulls().unique())


def _label(table: Table, layout: Layout, column: int) -> str:
    time = layout.times[column]
    return str(time) if isinstance(time, int) else table.header[column]


def _unnamed(table: Table, layout: Layout) -> list[Problem]:
    problems = []
    for i in layout.unnamed:
        text = blank_to_null(table.frame.to_series(i))
        rows = table.rows().filter(text.is_not_null())
        letter = table.letter(i)
        if rows.is_empty():
            what = f"Column {letter} has no name and holds nothing: it is ignored."
            code, severity, row = "blank_column", "warning", table.header_row
        else:
            what = f"Column {letter} holds values but has no name: name or delete it."
            code, severity, row = "unnamed_column", "error", int(rows[0])
        place = {"file": table.file, "sheet": table.sheet, "row": row, "column": letter}
        problems.append(Problem(code, what, severity, count=max(1, len(rows)), **place))  # type: ignore[arg-type]
    return problems


def _extra(table: Table, layout: Layout) -> list[Problem]:
    return [
        Problem(
            "wrong_column",
            f"The column {table.header[i]!r} is not known to the IAMC format: delete it.",
            file=table.file,
            sheet=table.sheet,
            row=table.header_row,
            column=table.letter(i),
            field=table.header[i],
            value=table.header[i],
        )
        for i in layout.extra
    ]


def _write(args: argparse.Namespace, read: Tidy, meta: Meta, document: dict[str, Any]) -> None:
    """Write all outputs; if one cannot be written, remove the others."""
    outputs = [args.output, args.meta, args.cells, args.source]
    try:
        write_parquet(read.data, args.output)
        write_parquet(meta.frame, args.meta)
        write_parquet(read.cells, args.cells)
        write_json(args.source, document)
    except BaseException:
        for path in outputs:
            path.unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    options = parse()
    sys.exit(program.run("read", options.error, lambda: main(options)))
