"""Full case folding of Unicode 14 beyond ASCII, of the characters that are their own canonical decomposition.

Made once from Python's ``str.casefold`` and frozen: what migration 0008 put into an index must not change. Unicode
never changes the folding of a character; those that it added later fold to themselves here.
"""

import re

_RUNS = """
    B5:775 C6:32 D0:32 D8:32 DE:32 110 126 132 13F-141/2 14A 152 166 17F:-268 181:210 182-184/2 186:206 187 189-18A:205
    18B 18E:79 18F:202 190:203 191 193:205 194:207 196:211 197:209 198 19C:211 19D:213 19F:214 1A2-1A4/2 1A6:218 1A7
    1A9:218 1AC 1AE:218 1B1-1B2:217 1B3-1B5/2 1B7:219 1B8 1BC 1C4:2 1C5 1C7:2 1C8 1CA:2 1CB 1E4 1F1:2 1F2 1F6:-97
    1F7:-56 21C 220:-130 222-224/2 23A:10795 23B 23D:-163 23E:10792 241 243:-195 244:69 245:71 246-24E/2 345:116
    370-372/2 376 37F:116 391-3A1:32 3A3-3A9:32 3C2 3CF:8 3D0:-30 3D1:-25 3D5:-15 3D6:-22 3D8-3EE/2 3F0:-54 3F1:-48
    3F4:-60 3F5:-64 3F7 3F9:-7 3FA 3FD-3FF:-130 402-40A/2:80 405:80 409-40B/2:80 40F:80 410-42E/2:32 411-417/2:32
    41B-42F/2:32 460-474/2 478-480/2 48A-4BE/2 4C0:15 4C3-4CD/2 4D4 4D8 4E0 4E8 4F6 4FA-52E/2 531-556:48 10A0-10C5:7264
    10C7:7264 10CD:7264 13F8-13FD:-8 1C80:-6222 1C81:-6221 1C82:-6212 1C83-1C84:-6210 1C85:-6211 1C86:-6204 1C87:-6180
    1C88:35267 1C90-1CBA:-3008 1CBD-1CBF:-3008 1EFA-1EFE/2 2132:28 2160-216F:16 2183 24B6-24CF:26 2C00-2C2F:48 2C60
    2C62:-10743 2C63:-3814 2C64:-10727 2C67-2C6B/2 2C6D:-10780 2C6E:-10749 2C6F:-10783 2C70:-10782 2C72 2C75
    2C7E-2C7F:-10815 2C80-2CE2/2 2CEB-2CED/2 2CF2 A640-A66C/2 A680-A69A/2 A722-A72E/2 A732-A76E/2 A779-A77B/2
    A77D:-35332 A77E-A786/2 A78B A78D:-42280 A790-A792/2 A796-A7A8/2 A7AA:-42308 A7AB:-42319 A7AC:-42315 A7AD:-42305
    A7AE:-42308 A7B0:-42258 A7B1:-42282 A7B2:-42261 A7B3:928 A7B4-A7C2/2 A7C4:-48 A7C5:-42307 A7C6:-35384 A7C7-A7C9/2
    A7D0 A7D6-A7D8/2 A7F5 AB70-ABBF:-38864 FF21-FF3A:32 10400-10427:40 104B0-104D3:40 10570-10594/2:39 10571-10579/2:39
    1057D-10589/2:39 1058D-10591/2:39 10595:39 10C80-10CB2:64 118A0-118BF:32 16E40-16E5F:32 1E900-1E921:34
"""
"""``first[-last[/step]][:distance]``: code points, and how far each is from the one that it folds to (1)."""

_EXPANSIONS = """
    DF:73+73 149:2BC+6E 587:565+582 1E9A:61+2BE 1E9E:73+73 FB00:66+66 FB01:66+69 FB02:66+6C FB03:66+66+69
    FB04:66+66+6C FB05:73+74 FB06:73+74 FB13:574+576 FB14:574+565 FB15:574+56B FB16:57E+576 FB17:574+56D
"""
"""A code point and the several that it folds to."""


def simple_foldings() -> dict[str, str]:
    """Each character that folds to one other character, and that one."""
    runs = re.findall(r"(\w+)(?:-(\w+))?(?:/(\d))?(?::(-?\d+))?", _RUNS)
    return {
        chr(point): chr(point + int(distance or 1))
        for first, last, step, distance in runs
        for point in range(int(first, 16), int(last or first, 16) + 1, int(step or 1))
    }


def expansions() -> dict[str, str]:
    """Each character that folds to several, and those."""
    pairs = (pair.split(":") for pair in _EXPANSIONS.split())
    return {chr(int(one, 16)): "".join(chr(int(point, 16)) for point in many.split("+")) for one, many in pairs}
