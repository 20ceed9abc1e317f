"""Who has followed a short link: a person, a messenger that shows a preview, or a robot. Pure, and from
stored words alone, so that it can be worked out again. Nobody is turned away by it.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from crawleruseragents import is_crawler

from .models.links import Click

Kind = Click.Kind

# What a request says beside its user agent; stored with the click.
PREFETCH = "prefetch"
NO_LANGUAGE = "no-language"  # every browser that a person holds names a language
_AHEAD = re.compile("prefetch|prerender|preview", re.I)

# Those who fetch a link to show what is behind it, in a chat or beside it.
_PREVIEWS = re.compile(
    r"""facebookexternalhit|facebookcatalog|\bFacebot|Twitterbot|TelegramBot|\bWhatsApp/|\bViber/|^Viber
    |SkypeUriPreview|SkypeSpaces|Slackbot|Slack-ImgProxy|Discordbot|LinkedInBot|vkShare|OdklBot
    |Google-PageRenderer|Google-Read-Aloud|Google-Safety|BingPreview|YahooMailProxy|GoogleImageProxy|redditbot
    |Pinterestbot|Pinterest/0|Iframely|Embedly|Snap\ URL\ Preview|linespider|kakaotalk-scrap|ZaloBot|Synapse
    |Mastodon|Misskey""",
    re.I | re.X,
)
# Beside the known crawlers (a library's list): what looks into messages for danger, and libraries.
_ROBOTS = re.compile(
    r"""bot\b|crawl|spider|scan|preview|fetch|monitor|uptime|check(er|host)|headless|phantomjs|selenium|puppeteer
    |playwright|lighthouse|safelinks|defender|proofpoint|mimecast|barracuda|symantec|messagelabs|fireeye|trendmicro
    |sophos|kaspersky|forcepoint|ironport|zscaler|paloalto|netcraft|virustotal|urlscan|phish|malware
    |antivir|avast|\bavg\b|bitdefender|cloudmark|spamassassin|rspamd|safe-?browsing|microsoft\ office|ms-office
    |^(curl|wget|python|java|go-http|ruby|perl|php|node|axios|got|okhttp|apache|libwww|lwp|httpie|postman|insomnia
    |dart|guzzle|faraday|rest|http|urllib|aiohttp|scrapy|winhttp|dalvik)\b|CFNetwork|\bDarwin/|Dalvik/""",
    re.I | re.X,
)
# How browsers begin, those of old phones too. Whatever calls itself otherwise is a program.
_BROWSERS = re.compile(
    r"^(Mozilla/|Opera/|UCWEB|NokiaBrowser|Nokia|SAMSUNG|SonyEricsson|BlackBerry|LG[-/]|MOT-|HUAWEI|ZTE|SIE-)"
    r"|MIDP|UP\.Browser",
    re.I,
)


def signs(headers: Mapping[str, str]) -> str:
    """What else the class is worked out from."""
    ahead = (headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    found = [PREFETCH] if any(_AHEAD.search(each) for each in ahead) else []
    if not headers.get("Accept-Language"):
        found.append(NO_LANGUAGE)
    return " ".join(found)


@lru_cache(maxsize=4096)
def kind_of(method: str, user_agent: str, signs: str) -> Kind:
    if _PREVIEWS.search(user_agent):
        return Kind.PREVIEW
    if PREFETCH in signs:
        return Kind.PREVIEW
    if method != "GET" or NO_LANGUAGE in signs or _is_robot(user_agent):
        return Kind.ROBOT
    return Kind.PERSON


def _is_robot(user_agent: str) -> bool:
    if not _BROWSERS.search(user_agent) or _ROBOTS.search(user_agent):
        return True
    return bool(is_crawler(user_agent))
