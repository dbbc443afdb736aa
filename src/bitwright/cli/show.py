"""``bitwright show``: what a program consists of and where its work lies."""

from __future__ import annotations

from typing import Any

from bitwright.cli import common


def show(model: common.Model, json_file: common.Json = None) -> None:
    """Show a network op by op: shapes, binary operations, weight bits, share of the work."""
    from bitwright import zoo  # noqa: PLC0415 - imported when needed
    from bitwright.ir import codec, count_work  # noqa: PLC0415

    program = codec.load(zoo.locate(model))
    work = count_work(program)
    total = sum(w.operations for w in work)
    rows: list[dict[str, Any]] = [
        {
            "op": w.op.output,
            "kind": w.op.kind,
            "shape": list(program.types[w.op.output].shape),
            "values": _values(program.types[w.op.output]),
            "binary_operations": w.binary_operations,
            "integer_operations": w.integer_operations,
            "weight_bits": w.weight_bits,
            "thresholds": w.thresholds,
            "share": w.operations / total if total else 0.0,
        }
        for w in work
    ]
    sums = {
        key: sum(getattr(w, key) for w in work)
        for key in ("binary_operations", "integer_operations", "weight_bits", "thresholds")
    }
    if json_file is not None:
        about = {
            "name": program.name,
            "digest": program.digest,
            "input": str(program.input_type),
            "classes": list(program.classes),
            "metadata": dict(program.metadata),
        }
        common.write_json({**about, "ops": rows, "total": sums}, json_file)
        if json_file == "-":
            return
    print(f"{program.name or model}  digest {program.digest[:16]}")
    print(f"input: {program.input_type}; counted per image")
    for key, value in program.metadata.items():
        if key != "fraction_bits":  # one number for each stored value: for programs, not people
            print(f"{key}: {value}")
    columns = {
        "op": False,
        "kind": False,
        "shape": False,
        "values": False,
        "binary ops": True,
        "integer ops": True,
        "weight bits": True,
        "thresholds": True,
        "share": True,
    }
    table = common.table(columns)
    for row in rows:
        numbers = [row[key] for key in sums]
        table.add_row(
            str(row["op"]),
            str(row["kind"]),
            "x".join(str(n) for n in row["shape"]),
            str(row["values"]),
            *(f"{n:,}" if n else "" for n in numbers),
            f"{row['share']:.1%}" if row["share"] else "",
        )
    table.add_section()
    table.add_row("total", "", "", "", *(f"{n:,}" for n in sums.values()), "")
    common.console.print(table)


def _values(value: Any) -> str:
    from bitwright.ir import Bits  # noqa: PLC0415 - imported when needed

    return "bits" if isinstance(value, Bits) else f"{value.lo:,}..{value.hi:,}"
