"""Who follows a link, by real user agents: phones whose brands and apps have the names of robots, and
robots that pretend to be browsers. The agents of data/user_agents.txt are from the fixtures of
matomo-org/device-detector; their kinds are our own.
"""

from pathlib import Path

import pytest

from mailings.tracking import classify
from mailings.tracking.classify import Kind

REAL = Path(__file__).with_name("data") / "user_agents.txt"

# isbot #29, #257, http-browserdetect #136, Crawler-Detect #283, device-detector #5484: phones are people.
PEOPLE = [
    "Mozilla/5.0 (Linux; Android 13; Cubot X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; CUBOT-X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 11; cubot) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 12; CUBOT KINGKONG 7 Build/SP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0 Mobile Safari/537.36 Instagram 321.0.0.39.106 Android (31/12; 480dpi; 1080x2400; CUBOT; CUBOT KINGKONG 7; k7; mt6789; ru_RU; 5)",
    "Mozilla/5.0 (Linux; Android 12; CUBOT P80 Build/SP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/450.0.0.43.109;FBMF/CUBOT;FBDV/CUBOT P80;]",
    "Mozilla/5.0 (Linux; Android 12; CUBOT P80; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0 Mobile Safari/537.36 Telegram-Android/10.9.1 (Cubot P80; Android 12; SDK 31; AVERAGE)",
    "Mozilla/5.0 (Linux; Android 12; XBot Junior) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; Robot Phone X1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; TECNO KI5q; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0 Mobile Safari/537.36 CamScanner/6.50",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 AdobeScan/24.01",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicrosoftDefender/1.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 WhatsApp/2.24.6.77",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Viber/22.1.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 PayPal/8.60",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Tumblr/33.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Asana/2.1.0 Chrome/120.0 Electron/28.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Avast/120.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 AVG/120.0",
    "Mozilla/5.0 (Linux; Android 8.1; SPIDER 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0 Mobile Safari/537.36 MailRu/14.90",
    "Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/122.0 Mobile Safari/537.36 (ru.mail.mailapp; mail.ru)",
    "Mozilla/5.0 (Mobile; Digit_Digit4G-Defender_4G; rv:48.0; CAEN) Gecko/48.0 Firefox/48.0 KAIOS/2.5.3.2",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Mobile/15E148 Safari/604.1 (Ecosia ios@9.2.3.1367)",
    "Mozilla/5.0 (Linux; U; Android 15; ru-ru; RMX3842 Build/AP3A.240617.008) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/115.0 Mobile Safari/537.36 HeyTapBrowser/45.10",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.4.2 Chrome/78.0.3904.130 Electron/7.2.1 Safari/537.36 WindowsStore/10.0.18362 Sonic Slack_SSB/4.4.2",
    "Mozilla/5.0 (Linux; Android 12; CUBOT",
    "Mozilla/5.0 (Linux; Android 10; Monitor Tab) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/83.0.4103.106 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; Uptime X) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/83.0.4103.106 Safari/537.36",
    "CUBOT_NOTE_S/1.0 Linux/3.10.49 Android/5.1 Release/01.01.2016 Browser/AppleWebKit537.36 Mobile Safari/537.36",
    "Fly_FF183/MAUI WAP Browser",
    "Maxvi_P18/MAUI_WAP_Browser Profile/Q03C1-2.40 ru-RU",
]
# isbot's and device-detector's robots that were taken for persons, and their neighbours.
NOBODY = [
    "GoogleMessages/15.2",
    "GoogleMessages/20",
    "Mozilla/5.0 (compatible; Name/1.0; +https://example.com)",
    "Mozilla/5.0 (compatible)",
    "Mozilla/5.0 (compatible; )",
    "Mozilla/5.0 (compatible; Some Thing)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app) Chrome/W.X.Y.Z Safari/537.36",
    "Mozilla/5.0 (Linux; Android 11; Moto G Power (2022)) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Mobile Safari/537.36 CloudflareObservatory/1.0",
    "Mozilla/5.0 (Linux; Android 4.2.1; en-us; Nexus 5 Build/JOP40D) AppleWebKit/535.19 (KHTML, like Gecko; googleweblight) Chrome/38.0.1025.166 Mobile Safari/535.19",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/55.0.2883.87 Safari/537.36 (via secureurl.fwdcdn.com - mail.ukr.net proxy)",
    "Mozilla/5.0 SeznamEmailProxy/2.0.174",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36 (contact: robot@example.org)",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36 linkcheck.example.com",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 example.school",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1 (compatible; GrapeshotCrawler/2.0)",
    "Mozilla/5.0 (Linux; Android 7.0;) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; PetalBot;+https://webmaster.petalsearch.com/site/petalbot)",
    "Mozilla/5.0 (iPhone; U; CPU iPhone OS 3_0 like Mac OS X; en-us; EasouSpider; +http://www.easou.com/search/spider.html)",
    "Mozilla/5.0 (Linux; Android 6.0; Nexus 5 Build/MRA58N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/51.0.5668.1446 Mobile Safari/537.36; Bytespider;bytespider@bytedance.com",
    "Mozilla/5.0 (Linux; Android 12; Pixel 6) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Java) outbrain",
    "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/75.0.3770.142 Safari/537.36'+(select load_file('x97bjuqgzjb9cjiodeygpdyxkoqledf164uzhp5e.burpcollaborator.netszc'))+'",
    "Anonymous, Mozilla/5.0 (Linux; Android 11; CPH2211) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/92.0.4515.166 Mobile Safari/537.36 OPR/65.2.3381.61420",
    "Thumbor/6.7.5, Mozilla/5.0 (Linux; Android 9; RAZER Phone Build/NMF26F) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/76.0.3809.111 Mobile Safari/537.36 AlohaBrowser/2.13.1",
    "Mozilla/5.0 (Hydra Proxy)",
    "Mozilla/4.0 (Hydra)",
    "Mozilla/5.0 Jorgee",
    "Mozilla/5.0 (compatible; evc-batch/2.0)",
    "Mozilla/5.0/Firefox/42.0 - nbertaupete95(at)gmail.com",
    "Mozilla/5.0 (X11; Linux x86_64; Rigor) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.106 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/78.0.3904.108 Safari/537.36 DareBoost",
    "Mozilla/5.0 (compatible; MSIE or Firefox mutant;) Daum 4.1",
    "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1) LinkCheck by Siteimprove.com",
    "DoCoMo/2.0 P900i(c100;TB;W24H11) (compatible; ichiro/mobile goo; +http://search.goo.ne.jp/option/use/sub4/sub4-1/)",
    "Chrome",
    "ipad",
    "123",
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0; +http://example.com/bot)",
    "Mozilla/5.0 (Linux; U; Android 4.0.2; en-us; Catchpoint) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2272.96 Mobile Safari/537.36 (compatible; Google-AMPHTML)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Safari/537.36 www.example.org",
]


def test_real_agents_of_phones_browsers_and_robots() -> None:
    """Whole sets were measured with the same rules; these were wrong before, or stand for the rest."""
    lines = [line.split("\t") for line in REAL.read_text().splitlines()]
    assert sum(kind == "person" for kind, _agent in lines) > 200
    assert sum(kind != "person" for kind, _agent in lines) > 100
    wrong = [(kind, agent) for kind, agent in lines if classify.kind_of("GET", agent, "") != kind]
    assert wrong == []


@pytest.mark.parametrize("agent", PEOPLE)
def test_a_name_that_a_robot_has_too_makes_no_robot_of_a_person(agent: str) -> None:
    assert classify.kind_of("GET", agent, "") == Kind.PERSON


@pytest.mark.parametrize("agent", NOBODY)
def test_whatever_is_no_browser_is_nobody(agent: str) -> None:
    assert classify.kind_of("GET", agent, "") in {Kind.ROBOT, Kind.PREVIEW}


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        ("Viber/24.5.0.3", Kind.PREVIEW),
        ("WhatsApp/2.24.6.77 i", Kind.PREVIEW),
        ("GoogleMessages/15.2", Kind.PREVIEW),
        ("http.rb/3.2.0 (Mastodon/2.4.3; +https://example.org/)", Kind.PREVIEW),
        # Requests of an app, not of a browser in it.
        ("Dalvik/2.1.0 (Linux; U; Android 13; CUBOT X50 Build/TP1A)", Kind.ROBOT),
        ("School/3.1 CFNetwork/1494.0.7 Darwin/23.4.0", Kind.ROBOT),
        ("okhttp/4.12.0", Kind.ROBOT),
    ],
)
def test_apps_that_fetch_by_themselves(agent: str, kind: Kind) -> None:
    assert classify.kind_of("GET", agent, "") == kind


def test_an_agent_cut_off_in_the_middle_is_read_too() -> None:
    """Only its first 300 characters are kept with a click."""
    long = f"Mozilla/5.0 (Linux; Android 12; CUBOT P80 {'x' * 300}"
    assert classify.kind_of("GET", long[:300], "") == Kind.PERSON
