"""The report of a comparison: one page that answers, made of saved records alone. No torch, no Lightning."""

from finetune.report.limits import Limits, parse_limits
from finetune.report.page import write_report

__all__ = ["Limits", "parse_limits", "write_report"]
