"""Who has followed a link, by real user agents: phones, their in-app browsers and computers are people;
messengers' previews, scanners, crawlers and libraries are not.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailings.tracking import classify
from mailings.tracking.classify import Kind

SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
WEBVIEW = (
    "AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0.6261.64 Mobile Safari/537.36"
)
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0"

PEOPLE = [
    # phones
    f"{SAFARI} Version/17.4 Mobile/15E148 Safari/604.1",
    f"{SAFARI} CriOS/123.0.6312.52 Mobile/15E148 Safari/604.1",
    f"{SAFARI} FxiOS/124.0 Mobile/15E148 Safari/605.1.15",
    f"{SAFARI} Version/17.0 YaBrowser/24.1.2.640.10 SA/3 Mobile/15E148 Safari/604.1",
    f"{SAFARI} EdgiOS/122.0.2365.56 Version/17.0 Mobile/15E148 Safari/604.1",
    f"{SAFARI} GSA/307.0.612640352 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 9_3_5 like Mac OS X) AppleWebKit/601.1.46 (KHTML, like Gecko)"
    " Version/9.0 Mobile/13G36 Safari/601.1",
    f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME} Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko)"
    " SamsungBrowser/24.0 Chrome/117.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 12; ru-ru; Redmi Note 9 Pro Build/SKQ1.211019.001) AppleWebKit/537.36"
    " (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.127 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.9.0-gn",
    "Mozilla/5.0 (Linux; arm_64; Android 12; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/120.0.0.0 YaBrowser/24.1.7.27.00 SA/3 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; HarmonyOS; YAL-L21; HMSCore 6.13.0.302) AppleWebKit/537.36"
    " (KHTML, like Gecko) Chrome/99.0.4844.88 HuaweiBrowser/14.0.4.300 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 11; ru; Infinix X6511B) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.7.8.1322 Mobile Safari/537.36",
    "Mozilla/5.0 (Android 14; Mobile; rv:125.0) Gecko/125.0 Firefox/125.0",
    "Mozilla/5.0 (Linux; Android 13; RMX3501) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0"
    " Mobile Safari/537.36 OPR/80.0.4170.78345",
    "Opera/9.80 (Android; Opera Mini/36.2.2254/191.303; U; ru) Presto/2.12.423 Version/12.16",
    "Mozilla/5.0 (Linux; Android 4.4.2; GT-I9500 Build/KOT49H) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Version/4.0 Chrome/30.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
    "Nokia6300/2.0 (07.21) Profile/MIDP-2.0 Configuration/CLDC-1.1",
    "BlackBerry9700/5.0.0.351 Profile/MIDP-2.1 Configuration/CLDC-1.1 VendorID/123",
    "UCWEB/2.0 (Java; U; MIDP-2.0; ru; Nokia203/20.37) U2/1.0.0 UCBrowser/9.4.1.482 U2/1.0.0 Mobile",
    f"Mozilla/5.0 (Linux; Android 12; DuckDuckGo) {CHROME} Mobile DuckDuckGo/5 Safari/537.36",
    # browsers inside apps
    f"{SAFARI} Mobile/15E148 Instagram 320.0.2.29.98 (iPhone14,5; iOS 17_4; ru_RU; ru; scale=3.00)",
    f"{SAFARI} Mobile/15E148 [FBAN/FBIOS;FBAV/449.0.0.36.108;FBBV/564431005;FBDV/iPhone14,5;FBSN/iOS]",
    f"{SAFARI} Mobile/15E148",
    f"{SAFARI} Mobile/15E148 Safari Line/14.3.0",
    f"{SAFARI} Mobile/15E148 Snapchat/12.77.0.32 (like Safari/8617.2.4.10.7, panda)",
    f"{SAFARI} Mobile/15E148 MicroMessenger/8.0.47(0x18002f2c) NetType/WIFI Language/ru",
    f"{SAFARI} Mobile/21E219 BytedanceWebview/d8a21c6 musical_ly_33.3.0",
    f"Mozilla/5.0 (Linux; Android 13; SM-A536B Build/TP1A.220624.014; wv) {WEBVIEW}"
    " [FB_IAB/FB4A;FBAV/450.0.0.43.109;]",
    f"Mozilla/5.0 (Linux; Android 12; M2007J20CG Build/SKQ1; wv) {WEBVIEW} Instagram 321.0.0.39.106 Android",
    f"Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A; wv) {WEBVIEW}",
    f"Mozilla/5.0 (Linux; Android 13; 2201117TY; wv) {WEBVIEW} Telegram-Android/10.9.1 (Xiaomi 2201117TY)",
    f"Mozilla/5.0 (Linux; Android 11; RMX2020; wv) {WEBVIEW} VKAndroidApp/8.68-21041",
    f"Mozilla/5.0 (Linux; Android 10; ANE-LX1; wv) {WEBVIEW} GSA/15.8.35.29.arm64",
    # tablets and computers
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6"
    " Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Linux; Android 13; SM-X200) {CHROME} Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/124.0.0.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} YaBrowser/24.4.0.0 Safari/537.36",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 OPR/109.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:125.0) Gecko/20100101 Firefox/125.0",
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1"
    " Safari/605.1.15",
    f"Mozilla/5.0 (X11; Linux x86_64) {CHROME} Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36",
]
PREVIEWS = [
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0 A",
    "WhatsApp/2.24.6.77 i",
    "Viber/20.5.0.2",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Viber/13.3 Safari/537.36",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    # Messages on an iPhone
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1"
    " Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "Twitterbot/1.0",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/97.0.4692.71"
    " Safari/537.36 SkypeSpaces/1.0a$*+",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)",
    "Mozilla/5.0 (compatible; OdklBot/1.0 like Linux; klass@odnoklassniki.ru)",
    "Google-PageRenderer Google (+https://developers.google.com/+/web/snippet/)",
    f"Mozilla/5.0 (Linux; Android 7.0) {WEBVIEW} (compatible; Google-Read-Aloud)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 7_0 like Mac OS X) AppleWebKit/537.51.1 BingPreview/1.0b",
    "Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)",
]
ROBOTS = [
    "",
    "curl/8.5.0",
    "Wget/1.21.3",
    "python-requests/2.31.0",
    "Python-urllib/3.11",
    "python-httpx/0.27.0",
    "aiohttp/3.9.3",
    "Go-http-client/2.0",
    "Java/17.0.9",
    "Apache-HttpClient/4.5.14 (Java/17.0.9)",
    "okhttp/4.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 13; SM-A536B Build/TP1A.220624.014)",
    "axios/1.6.7",
    "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
    "PostmanRuntime/7.36.3",
    "School/3.1 CFNetwork/1494.0.7 Darwin/23.4.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0 Mobile"
    " Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; Linux x86_64; Mail.RU_Bot/2.0; +https://help.mail.ru/webmaster)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.replace('Chrome', 'HeadlessChrome')} Safari/537.36",
    "Mozilla/5.0 (compatible; NetcraftSurveyAgent/1.0; +info@netcraft.com)",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0) Proofpoint URL Defense",
    "Mozilla/5.0 (Windows NT 10.0) Barracuda Sentinel (EE)",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
    "Mozilla/5.0 (compatible; urlscan.io)",
    "UptimeRobot/2.0; http://www.uptimerobot.com/",
    "CheckHost (https://check-host.net/)",
    "Zabbix",
    "My program",
]


def test_the_list_is_long_enough() -> None:
    everybody = [*PEOPLE, *PREVIEWS, *ROBOTS]
    assert len(set(everybody)) == len(everybody) >= 95


@pytest.mark.parametrize("agent", PEOPLE)
def test_people(agent: str) -> None:
    assert classify.kind_of("GET", agent, "") == Kind.PERSON


@pytest.mark.parametrize("agent", PREVIEWS)
def test_previews(agent: str) -> None:
    assert classify.kind_of("GET", agent, "") == Kind.PREVIEW
    assert classify.kind_of("HEAD", agent, classify.NO_LANGUAGE) == Kind.PREVIEW


@pytest.mark.parametrize("agent", ROBOTS)
def test_robots(agent: str) -> None:
    assert classify.kind_of("GET", agent, "") == Kind.ROBOT


@pytest.mark.parametrize(
    ("method", "headers", "kind"),
    [
        ("GET", {"Accept-Language": "ru"}, Kind.PERSON),
        ("HEAD", {"Accept-Language": "ru"}, Kind.ROBOT),
        ("GET", {}, Kind.ROBOT),
        ("GET", {"Accept-Language": "ru", "Sec-Purpose": "prefetch;prerender"}, Kind.PREVIEW),
        ("GET", {"Accept-Language": "ru", "Purpose": "prefetch"}, Kind.PREVIEW),
        ("GET", {"Accept-Language": "ru", "X-Purpose": "preview"}, Kind.PREVIEW),
        ("GET", {"Accept-Language": "ru", "X-Moz": "prefetch"}, Kind.PREVIEW),
        ("GET", {"Accept-Language": "ru", "Sec-Purpose": ""}, Kind.PERSON),
    ],
)
def test_what_a_browser_says_beside_its_name(
    method: str, headers: dict[str, str], kind: Kind
) -> None:
    assert classify.kind_of(method, PEOPLE[0], classify.signs(headers)) == kind


@given(st.text(max_size=300), st.text(max_size=20))
def test_whatever_calls_itself_something_gets_a_class(agent: str, said: str) -> None:
    assert classify.kind_of("GET", agent, classify.signs({"Purpose": said})) in set(Kind)


def test_the_signs_fit_their_column() -> None:
    said = classify.signs({"Purpose": "prefetch " * 99})
    assert re.fullmatch("prefetch no-language", said)
