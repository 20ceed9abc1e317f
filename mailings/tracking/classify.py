"""Who has followed a short link: a person, a messenger that shows a preview, or a robot. Pure, and from
stored words alone, so that it can be worked out again. Nobody is turned away by it.

Phones first. Their makers and their apps have names that robots have too (Cubot, Spider, CamScanner), so
whatever is a browser in a hand is a robot only by marks that no phone has. The lists are for the rest.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from mailings.models.links import Click

Kind = Click.Kind

# What a request says beside its user agent; stored with the click.
PREFETCH = "prefetch"
NO_LANGUAGE = "no-language"  # every browser that a person holds names a language
_AHEAD = re.compile("prefetch|prerender|preview", re.I)

# Those who fetch a link to show what is behind it, in a chat or beside it.
_PREVIEWS = re.compile(
    r"""facebookexternalhit|facebookcatalog|\bFacebot|Twitterbot|TelegramBot|^(WhatsApp|Viber)\b|^GoogleMessages
    |SkypeUriPreview|SkypeSpaces|Slackbot|Slack-ImgProxy|Discordbot|LinkedInBot|vkShare|OdklBot|Bluesky\ Cardyb
    |Google-PageRenderer|Google-Read-Aloud|Google-Safety|BingPreview|YahooMailProxy|GoogleImageProxy|redditbot
    |Pinterestbot|Pinterest/0|Iframely|Embedly|Snap\ URL\ Preview|linespider|kakaotalk-scrap|ZaloBot|^Synapse\b
    |\(Mastodon|\bMisskey/""",
    re.I | re.X,
)
# The same two inside another name: on a phone this is their own browser, with somebody before it.
_MESSENGERS = re.compile(r"\b(WhatsApp|Viber)/", re.I)

# In somebody's hand, or in front of somebody's couch.
_HANDHELD = re.compile(
    r"""Android|iPhone|iPad|iPod|Windows\ (Phone|CE|Mobile)|IEMobile|KAIOS|BlackBerry|\bBB10|PlayBook|Symbian
    |Series\ ?[3468]0|Tizen|\bBada/|MeeGo|Maemo|webOS|hpwOS|Sailfish|Ubuntu;\ (Mobile|Tablet)|Kindle|\bSilk/
    |Opera\ (Mini|Mobi|Tablet)|UCWEB|UCBrowser|Fennec|[(;]\s?(Mobile|Tablet(?!\ PC))\b|\bMobile(/\w+)?\ Safari|MIDP|CLDC
    |MAUI|\bMRE|WAP[ -_]?(Browser|[12]\.)|(UP|AU)\.Browser|Obigo|Teleca|NetFront|Dolfin|Jasmine|Openwave|POLARIS
    |BREW|SHP/VPP|Dorado|Novarra|Screen-\d|^(DoCoMo|KDDI-|J-PHONE|SoftBank|Vodafone)|Nintendo|PlayStation""",
    re.I | re.X,
)
# How browsers begin, those of old phones too. Whatever calls itself otherwise is a program, unless a
# browser's whole name follows: apps write their own before it.
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
# A computer or a television: whoever begins like a browser and names no machine is none.
_MACHINES = re.compile(
    r"Windows|Macintosh|Mac OS|Mac_PowerPC|X11|Linux|BSD|SunOS|CrOS|CrKey|Web0S|SMART-TV|HbbTV|Amiga|OS/2|BeOS|Haiku"
    r"|Win(9[58]|NT)|Xbox|Syllable|RISC OS|QNX|PDA|Roku|jig browser|VIDAA"
    r"|Viera|DTV|PS3|OpenHarmony|HarmonyOS|Fuchsia|Inferno|^(?!Mozilla)",
    re.I,
)
# What only programs call themselves, and those that pretend to be phones too.
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
# Of what stands outside of brackets in a phone's agent: there are the names of programs, inside those of
# devices.
_BRACKETS = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*(?:\)|$)|\[[^\]]*(?:\]|$)")
_ON_A_PHONE = re.compile(
    r"\b(?!cubot|xbot)\w{2,}bot\b|crawler|\w+spider\b|(?<!user)-agent\b|\b[a-z\d-]+\.(com|net|org|io)/[a-z]",
    re.I,
)
# A site's name, and not an app's: "com.school.app". Apps of a large mail service write its name.
_SITE = re.compile(
    r"(?<![\w./@:-])(?!(?:com|org|net|io|ru|de|me)\.|mail\.ru)(?:[A-Za-z][A-Za-z\d-]+\.)+[a-z]{2,14}(?![\w.-]|/\d)"
)
# Beside the known crawlers (a library's list): what looks into messages for danger, and libraries.
_ROBOTS = re.compile(
    r"""bot\b|crawl|spider|scan|preview|fetch|monitor|uptime|check(er|host)?\b|headless|phantomjs|selenium|puppeteer
    |playwright|lighthouse|safelinks|defender|proofpoint|mimecast|barracuda|symantec|messagelabs|fireeye|trendmicro
    |sophos|kaspersky|forcepoint|ironport|zscaler|paloalto|netcraft|virustotal|urlscan|phish|malware
    |antivir|avast(?!/|Secure)|\bavg\b(?!/)|bitdefender|cloudmark|spamassassin|rspamd|safe-?browsing
    |microsoft\ office|ms-office|proxy\b|(?<!user-)agent\b|thumbnail|grabber|validator|archiver|inspect|probe
    |diagnostics|cloudflare|transcoder|measurement""",
    re.I | re.X,
)
# Patterns of that list which are browsers and apps that people read in, too.
_NO_CRAWLERS = frozenset(
    """Sogou|WhatsApp|Viber|Fever|Sonic|Butterfly|Expanse|Fluid|mail\\.ru|MetaIAB Facebook|Notion\\/|Asana\\/|PayPal\\/
|Tumblr\\/|Code\\/1\\.""".replace("\n", "").split("|")
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
    # Programs that are built from a browser open links for the person in front of them.
    return "Electron/" not in agent and any(some.search(agent) for some in _crawlers())


@cache
def _crawlers() -> list[re.Pattern[str]]:
    """The library's list in chunks, as it searches itself: all at once is slower."""
    known = [each["pattern"] for each in CRAWLER_USER_AGENTS_DATA]
    patterns = [each for each in known if each not in _NO_CRAWLERS]
    return [re.compile("|".join(patterns[at : at + 25])) for at in range(0, len(patterns), 25)]
