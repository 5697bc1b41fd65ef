"""The report a physicist reads, and its twin for programs."""

from validation.report.write import write_report, write_result

__all__ = ["write_report", "write_result"]
