"""Which web addresses belong to public bodies (公的機関): a family trusts a source by who publishes it.

Japan keeps `.go.jp` for the state, `.lg.jp` for local governments, and `city.`, `town.`, `vill.`, `pref.`, `metro.`
before a prefecture's name (or a large city's own) for the bodies of that place. Bodies with another name are listed:
to add one, put its host into `LISTED` with what it is.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LISTED = {
    "kyoukaikenpo.or.jp": "全国健康保険協会",
    "kouritu.or.jp": "公立学校共済組合",
    "fukunavi.or.jp": "東京都福祉保健財団(とうきょう福祉ナビゲーション)",
    "iwami.gr.jp": "鳥取県岩美町",
    "official.shinkamigoto.net": "長崎県新上五島町",
}
"""Public bodies whose hosts do not show it."""

_PREFECTURE = (
    "hokkaido|aomori|iwate|miyagi|akita|yamagata|fukushima|ibaraki|tochigi|gunma|saitama|chiba|tokyo|kanagawa|niigata|"
    "toyama|ishikawa|fukui|yamanashi|nagano|gifu|shizuoka|aichi|mie|shiga|kyoto|osaka|hyogo|nara|wakayama|tottori|"
    "shimane|okayama|hiroshima|yamaguchi|tokushima|kagawa|ehime|kochi|fukuoka|saga|nagasaki|kumamoto|oita|miyazaki|"
    "kagoshima|okinawa"
)
_LARGE_CITY = "sapporo|sendai|yokohama|kawasaki|nagoya|kobe|kitakyushu"
_RESERVED = re.compile(
    rf"(^|\.)(go\.jp|lg\.jp|(city|town|vill)\.[a-z0-9-]+\.({_PREFECTURE})\.jp|(pref|metro)\.({_PREFECTURE})\.jp"
    rf"|city\.({_LARGE_CITY})\.jp|(city|town|vill)\.[a-z0-9-]+\.example)$"
)
"""Hosts that nobody else may have; `.example` belongs to nobody, and so to invented towns (架空)."""


def is_public_body(url: str) -> bool:
    """Say whether an address lies on the host of a public body.

    A site that a company runs for a town under the company's own name is none: nobody can see whose words they are.
    """
    host = (urlsplit(url).hostname or "").lower()
    return _RESERVED.search(host) is not None or any(host == one or host.endswith(f".{one}") for one in LISTED)
