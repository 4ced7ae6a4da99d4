"""The pages about a curated set: the report, and a gallery of clips to browse or to search.

``report.html`` is one file without a network: what was found, what each rule took, what other thresholds would keep.
"""

from worldfoundry.curate.config import CurateConfig
from worldfoundry.curate.index import load_set
from worldfoundry.curate.report.loading import facts_of
from worldfoundry.curate.report.page import report_page
from worldfoundry.curate.store import Store


def write_report(
    store: Store,
    config: CurateConfig | None = None,
    *,
    name: str = "report.html",
) -> str:
    """Write the report of a finished set and return its name; equal sets give equal bytes.

    With ``config``, the decisions are those that other settings would make of the stored scores.
    """
    page = report_page(facts_of(load_set(store), config))
    store.write_bytes(name, page.encode("utf-8"))
    return name
