"""``finetune report``: the page of a comparison, from what it saved."""

from __future__ import annotations

import json

from finetune.console import console, write_json
from finetune.options import ReportOptions


def run(options: ReportOptions) -> int:
    """Write the report and say the answer.

    Raises:
        UsageError: There is no comparison, or a limit is not a number with a unit.
    """
    from finetune.report import parse_limits, write_report

    page = write_report(options.folder, parse_limits(options.max_latency, options.max_params), options.pictures, options.attribution)
    values = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    for sentence in (values["answer"]["headline"], values["answer"]["limit_sentence"], *values["answer"]["certainty"]):
        if sentence:
            console().print(sentence, markup=False)
    console().print(f"written: {page}, and beside it .json, .csv and .md", markup=False)
    write_json(options.json, values)
    return 0
