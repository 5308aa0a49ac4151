"""The public release: what it holds, choosing from it, fetching, checking and mending it, and the published weights."""

from multiface.release.catalogue import Catalogue, Person, load_catalogue
from multiface.release.download import Progress, Result, download
from multiface.release.extract import Job
from multiface.release.network import Network, Server, base_url
from multiface.release.plan import Plan, make_plan
from multiface.release.published_config import read_published_config
from multiface.release.selection import ASSETS, Selection, choose
from multiface.release.sizes import Sizes
from multiface.release.state import State
from multiface.release.transcode import Transcoder
from multiface.release.verify import Verified, verify

__all__ = [
    "ASSETS",
    "Catalogue",
    "Job",
    "Network",
    "Person",
    "Plan",
    "Progress",
    "Result",
    "Selection",
    "Server",
    "Sizes",
    "State",
    "Transcoder",
    "Verified",
    "base_url",
    "choose",
    "download",
    "load_catalogue",
    "make_plan",
    "read_published_config",
    "verify",
]
