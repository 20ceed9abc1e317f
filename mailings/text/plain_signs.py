"""Replacements for the characters that make an SMS dearer. Each keeps the meaning of its character;
nothing is invented for what only a picture can say.
"""

# Characters that have an equal in GSM-7 with the same meaning.
EQUALS = {
    **dict.fromkeys("«»„“”‟″〝〞＂ʺˮ❝❞❠‶", '"'),
    **dict.fromkeys("‘’‚‛′‹›`´ʼʻʽˈʹˊˋ❛❜❟＇‵ꞌʾʿ՚", "'"),
    **dict.fromkeys("‐‑‒–—―−⁃﹣－˗⎼⎽⁻₋➖‾ˉ⸺⸻·‧", "-"),
    **dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006", " "),
    **dict.fromkeys("\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "),
    **dict.fromkeys("\u2028\u2029\u0085\u000b", "\n"),
    # Invisible characters, which are paid for all the same. The joiners of emoji are not among
    # them.
    **dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff\u180e", ""),
    **dict.fromkeys("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", ""),
    **dict.fromkeys("•●▪‣◦■◆▶►▸➢➤⁌⁍∙", "-"),
    **dict.fromkeys("★☆✱✲✳✴✵✶✷✸✹✺✻✼✽✢✣✤✥✦✧❃❇❈❉❊❋⁎∗⊛⧆﹡＊⁕※", "*"),
    **dict.fromkeys("❨❪⁽₍﹙（⟮⦅❲〔〈《「『【❬❮❰⟨⟪❴﹛｛⦃", "("),
    **dict.fromkeys("❩❫⁾₎﹚）⟯⦆❳〕〉》」』】❭❯❱⟩⟫❵﹜｝⦄", ")"),
    **dict.fromkeys("［⟦", "["),
    **dict.fromkeys("］⟧", "]"),
    **dict.fromkeys("÷⁄∕⧸／╱➗", "/"),
    **dict.fromkeys("⧹⧵﹨＼╲∖", "\\"),
    **dict.fromkeys("∣｜⎸⎹⏐⎜⎟│┃❘❙❚¦ǀ", "|"),
    **dict.fromkeys("＿‗﹍﹎﹏", "_"),
    **dict.fromkeys("﹫＠", "@"),
    **dict.fromkeys("﹩＄", "$"),
    **dict.fromkeys("ǃ︕﹗！❕❗❢❣", "!"),
    **dict.fromkeys("﹟＃", "#"),
    **dict.fromkeys("﹪％٪", "%"),
    **dict.fromkeys("﹠＆", "&"),
    **dict.fromkeys("﹐、﹑，､︐︑،", ","),
    **dict.fromkeys("˖﹢＋⁺₊➕", "+"),
    **dict.fromkeys("。﹒．｡․", "."),
    **dict.fromkeys("ː˸⦂꞉︓：∶﹕", ":"),
    **dict.fromkeys("⁏︔﹔；؛", ";"),
    **dict.fromkeys("﹤＜˂", "<"),
    **dict.fromkeys("﹥＞˃", ">"),
    **dict.fromkeys("꞊﹦＝⁼₌", "="),
    **dict.fromkeys("︖﹖？❓❔؟", "?"),
    **dict.fromkeys("ˆ＾", "^"),
    **dict.fromkeys("˜˷∼～〜≈∽", "~"),
    **dict.fromkeys("→➔➙➛➜➝➞➟➠➡➨➲➳⇒⇨⟶⟹▷", "->"),
    **dict.fromkeys("←⇐⇦⬅⟵⟸◁◀◄", "<-"),
    **dict.fromkeys("↔⇔⬌⟷⟺", "<->"),
    **dict.fromkeys("✖✕✗✘×⨯", "x"),
    **dict.fromkeys("✓✔☑", "+"),
    **dict.fromkeys("≥⩾≧", ">="),
    **dict.fromkeys("≤⩽≦", "<="),
    "≠": "!=",
    "±": "+/-",
    "…": "...",
    "‥": "..",
    "⋯": "...",
    "№": "No",
    "©": "(c)",
    "®": "(r)",
    "℗": "(p)",
    "™": "(tm)",
    "℠": "(sm)",
    "₽": "rub",
    "₸": "tg",
    "₴": "uah",
    "¢": "c",
    "µ": "u",
    "‼": "!!",
    "⁇": "??",
    "⁈": "?!",
    "⁉": "!?",
    "‽": "?!",
    # Letters that are not a base letter with an accent.
    **dict(zip("ŁłĐđĦħıĸŦŧƒƏəȷĿŀƗɨŊŋ", "LlDdHhikTtfEejLlIiNn", strict=True)),
    "Œ": "OE",
    "œ": "oe",
    "Þ": "Th",
    "þ": "th",
    "Ð": "D",
    "ð": "d",
    "ẞ": "SS",
    "ŉ": "'n",
    # Small capitals.
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "ABCDEFGHIJKLMNOPRSTUVWYZ", strict=True)),
    # Greek capitals that look like Latin ones in GSM-7.
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
}
# Each takes two units in GSM-7, and its replacement takes one. The euro has no shorter replacement.
SHORTER = {"[": "(", "]": ")", "{{": "(", "}}": ")", "~": "-", "\\": "/", "|": "/"}
# Cyrillic letters that get into a Latin word by mistake, where nobody sees the difference.
ALIKE = dict(zip("аеорсухкіѕјАВЕКМНОРСТУХІЅЈ", "aeopcyxkisjABEKMHOPCTYXISJ", strict=True))
# Letters that the Russian scheme of iuliia does not know: Ukrainian, Belarusian, Kazakh.
_LETTERS = {
    "і": "i",
    "ї": "yi",
    "є": "ye",
    "ґ": "g",
    "ў": "u",
    "ә": "a",
    "ғ": "g",
    "қ": "k",
    "ң": "n",
    "ө": "o",
    "ұ": "u",
    "ү": "u",
    "һ": "h",
}
_LETTERS |= {small.upper(): latin.capitalize() for small, latin in _LETTERS.items()}
OTHER_LETTERS = {ord(letter): latin for letter, latin in _LETTERS.items()}
