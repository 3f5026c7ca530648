"""Pictures and pages of what campaigns found (extra ``report``)."""

from clipact.report._curves import accuracy_vs_ber
from clipact.report._page import Section, Table, svg, write_page

__all__ = ["Section", "Table", "accuracy_vs_ber", "svg", "write_page"]
