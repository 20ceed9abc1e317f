"""Classifies who has followed a short link: a person, a messenger that shows a preview, or a robot. The
result depends only on stored values, so that it can be computed again. It never blocks anybody.

Phones are checked first. Phone makers and apps have names that robots have too (Cubot, Spider,
CamScanner), so a browser on a handheld device counts as a robot only by signs that no phone has. The
word lists are for everything else.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from mailings.models.links import Click

Kind = Click.Kind

# What a request says besides its user agent; stored with the click.
PREFETCH = "prefetch"
NO_LANGUAGE = "no-language"  # every browser that a person uses names a language
_AHEAD = re.compile("prefetch|prerender|preview", re.I)
# The headers that signs() reads.
AHEAD = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
LANGUAGE = ("Accept-Language",)

# Programs that fetch a link to show a preview of it, in a chat or beside it.
_PREVIEWS = re.compile(
    r"""facebookexternalhit|facebookcatalog|\bFacebot|Twitterbot|TelegramBot|^(WhatsApp|Viber)\b|^GoogleMessages
    |SkypeUriPreview|SkypeSpaces|Slackbot|Slack-ImgProxy|Discordbot|LinkedInBot|vkShare|OdklBot|Bluesky\ Cardyb
    |Google-PageRenderer|Google-Read-Aloud|Google-Safety|BingPreview|YahooMailProxy|GoogleImageProxy|redditbot
    |Pinterestbot|Pinterest/0|Iframely|Embedly|Snap\ URL\ Preview|linespider|kakaotalk-scrap|ZaloBot|^Synapse\b
    |\(Mastodon|\bMisskey/""",
    re.I | re.X,
)
# Two of them inside another name: on a phone this is the app's own browser, used by a person.
_MESSENGERS = re.compile(r"\b(WhatsApp|Viber)/", re.I)

# Handheld devices, and game consoles and readers that people use in the same way.
_HANDHELD = re.compile(
    r"""Android|iPhone|iPad|iPod|Windows\ (Phone|CE|Mobile)|IEMobile|KAIOS|BlackBerry|\bBB10|PlayBook|Symbian
    |Series\ ?[3468]0|Tizen|\bBada/|MeeGo|Maemo|webOS|hpwOS|Sailfish|Ubuntu;\ (Mobile|Tablet)|Kindle|\bSilk/
    |Opera\ (Mini|Mobi|Tablet)|UCWEB|UCBrowser|Fennec|[(;]\s?(Mobile|Tablet(?!\ PC))\b|\bMobile(/\w+)?\ Safari|MIDP|CLDC
    |MAUI|\bMRE|WAP[ -_]?(Browser|[12]\.)|(UP|AU)\.Browser|Obigo|Teleca|NetFront|Dolfin|Jasmine|Openwave|POLARIS
    |BREW|SHP/VPP|Dorado|Novarra|Screen-\d|^(DoCoMo|KDDI-|J-PHONE|SoftBank|Vodafone)|Nintendo|PlayStation""",
    re.I | re.X,
)
# How the agents of browsers begin, including those of old phones. Any other agent is a program, unless
# the whole name of a browser follows: apps write their own name before it.
_BROWSERS = re.compile(
    r"""^(Mozil+a\ ?/|Mozzila|Opera/|UCWEB|NokiaBrowser|Nokia|SAMSUNG|SonyEricsson|BlackBerry|LG[-/]|MOT-|HUAWEI
    |ZTE|SIE-|ALCATEL|Alcatel|Philips|PHILIPS|SEC-|SHARP|TELIT|Panasonic|SAGEM|Sendo|Lenovo-|KGT|DoCoMo|KDDI-
    |J-PHONE|SoftBank|Vodafone)
    |MIDP|(UP|AU)\.Browser|MAUI|\bMRE[/ ]|WAP[ -_]?(Browser|[12]\.)|Teleca|Obigo|Screen-\d+X\d|AmigaVoyager|IBrowse
    |\bUCBrowser\b|^HbbTV|^Opera|Windows\ (Phone|CE)[^()]*IEMobile|^AppleWebKit/.*\bMobile\b
    |Mozilla/\d\.\d\ \((Linux|iPhone|iPad)[^()]*(Android|OS)\b|Android.*(AppleWebKit[/\ ]?|Gecko/)\d
    |iPhone.*AppleWebKit/\d""",
    re.I | re.X,
)
# Computers and televisions: an agent that begins like a browser but names no machine is no browser.
_MACHINES = re.compile(
    r"Windows|Macintosh|Mac OS|Mac_PowerPC|X11|Linux|BSD|SunOS|CrOS|CrKey|Web0S|SMART-TV|HbbTV|Amiga|OS/2|BeOS|Haiku"
    r"|Win(9[58]|NT)|Xbox|Syllable|RISC OS|QNX|PDA|Roku|jig browser|VIDAA"
    r"|Viera|DTV|PS3|OpenHarmony|HarmonyOS|Fuchsia|Inferno|^(?!Mozilla)",
    re.I,
)
# Names that only programs use, including programs that pretend to be phones.
_SURELY = re.compile(
    r"""Dalvik/|CFNetwork|\bDarwin/|^[^(]*,\s*Mozilla/|HeadlessChrome|Chrome/[A-Z]|like\ Gecko;
    |\bcompatible\b(?![;:]?\s*(MSIE\ \d|Konqueror|U;\ ABrowse|I?Browse|iCab|OmniWeb|NetFront|Linux\ 2|Maxthon|Dillo
        |Opera|Windows\ (CE|Mobile|Phone)|Teleca|Blazer|AvantGo|Polaris|Openwave|Amiga
        |NetPositive|U;\ (Webpositive|InfiNet)|Linux\ mips|ANTGalio))
    |https?:/|\bmailto:|[\w.+-]+(@|\[at\]|\(at\)|;\ at;\ )[\w-]+\.[a-z]{2,}\b
    |Lighthouse|\bPTST/|googleweblight|DuplexWeb-Google|\bGoogle-(?!Pixel|Nexus)[A-Z]|Google\ (Page|Search|Web|Favicon)|GoogleAd
    |\b(?!(?:C[Uu]|X)(?:BOT|bot))[A-Za-z]{3,}[bB][oO][tT](/\d|-[A-Z][a-z])|Hotjar|Mediapartners|RuxitSynthetic
    |[Pp]ingdom|Catchpoint|DMBrowser|DejaClick|CloudflareObservatory|Prerender""",
    re.X,
)
# For the text outside of brackets in a phone's agent: the names of programs are outside, the names of
# devices inside.
_BRACKETS = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*(?:\)|$)|\[[^\]]*(?:\]|$)")
_ON_A_PHONE = re.compile(
    r"\b(?!cubot|xbot)\w{2,}bot\b|crawler|\w+spider\b|(?<!user)-agent\b|\b[a-z\d-]+\.(com|net|org|io)/[a-z]",
    re.I,
)
# The name of a site, and not of an app such as "com.school.app". mail.ru is excluded, because the apps
# of that mail service write its name.
_SITE = re.compile(
    r"(?<![\w./@:-])(?!(?:com|org|net|io|ru|de|me)\.|mail\.ru)(?:[A-Za-z][A-Za-z\d-]+\.)+[a-z]{2,14}(?![\w.-]|/\d)"
)
# Besides the known crawlers (a library's list): scanners that check messages for danger, and HTTP
# libraries.
_ROBOTS = re.compile(
    r"""bot\b|crawl|spider|scan|preview|fetch|monitor|uptime|check(er|host)?\b|headless|phantomjs|selenium|puppeteer
    |playwright|lighthouse|safelinks|defender|proofpoint|mimecast|barracuda|symantec|messagelabs|fireeye|trendmicro
    |sophos|kaspersky|forcepoint|ironport|zscaler|paloalto|netcraft|virustotal|urlscan|phish|malware
    |antivir|avast(?!/|Secure)|\bavg\b(?!/)|bitdefender|cloudmark|spamassassin|rspamd|safe-?browsing
    |microsoft\ office|ms-office|proxy\b|(?<!user-)agent\b|thumbnail|grabber|validator|archiver|inspect|probe
    |diagnostics|cloudflare|transcoder|measurement""",
    re.I | re.X,
)
# Patterns of the library's list that also match browsers and apps in which people read.
_NO_CRAWLERS = frozenset(
    """Sogou|WhatsApp|Viber|Fever|Sonic|Butterfly|Expanse|Fluid|mail\\.ru|MetaIAB Facebook|Notion\\/|Asana\\/|PayPal\\/
|Tumblr\\/|Code\\/1\\.""".replace("\n", "").split("|")
)


def signs(headers: Mapping[str, str]) -> str:
    """Return the signs in the request headers (PREFETCH, NO_LANGUAGE), separated by spaces."""
    ahead = (headers.get(name, "") for name in AHEAD)
    found = [PREFETCH] if any(_AHEAD.search(each) for each in ahead) else []
    if not any(headers.get(name) for name in LANGUAGE):
        found.append(NO_LANGUAGE)
    return " ".join(found)


@lru_cache(maxsize=4096)
def kind_of(method: str, user_agent: str, signs: str) -> Kind:
    """Return the kind of a click; signs: the result of signs()."""
    if _is_preview(user_agent) or PREFETCH in signs:
        return Kind.PREVIEW
    if method != "GET" or NO_LANGUAGE in signs or _is_robot(user_agent):
        return Kind.ROBOT
    return Kind.PERSON


def _is_preview(agent: str) -> bool:
    if _PREVIEWS.search(agent):
        return True
    return _MESSENGERS.search(agent) is not None and not _HANDHELD.search(agent)


def _is_robot(agent: str) -> bool:
    if not _BROWSERS.search(agent) or _SURELY.search(agent):
        return True
    if _HANDHELD.search(agent):
        outside = _BRACKETS.sub(" ", agent)
        return bool(_ON_A_PHONE.search(outside) or _SITE.search(outside))
    if not _MACHINES.search(agent) or _ROBOTS.search(agent) or _SITE.search(agent):
        return True
    # Desktop programs built on a browser (Electron) open links for a person.
    return "Electron/" not in agent and any(some.search(agent) for some in _crawlers())


@cache
def _crawlers() -> list[re.Pattern[str]]:
    """Compile the library's list in chunks of 25, as the library itself does: one big pattern is
    slower.
    """
    known = [each["pattern"] for each in CRAWLER_USER_AGENTS_DATA]
    patterns = [each for each in known if each not in _NO_CRAWLERS]
    return [re.compile("|".join(patterns[at : at + 25])) for at in range(0, len(patterns), 25)]
