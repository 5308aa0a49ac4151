"""What is acted in each segment: names in the published style and the expressions at their peaks."""

from __future__ import annotations

TEST_SEGMENT = "EXP_ROM07_Facial_Expressions"

_NAMED_TWICE = (
    "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut",
    "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown", "mouthPress", "mouthSmile",
    "mouthStretch", "mouthUpperUp", "noseSneer",
)  # fmt: skip


def both(**weights: float) -> dict[str, float]:
    """Weights with ``_L`` and ``_R`` for the shapes that come in pairs."""
    out = {}
    for name, weight in weights.items():
        for suffix in ("_L", "_R") if name in _NAMED_TWICE else ("",):
            out[name + suffix] = weight
    return out


PEAKS: dict[str, dict[str, float]] = {
    "E001_Neutral_Eyes_Open": {},
    "E006_Jaw_Drop_Brows_Up": both(jawOpen=0.85, browInnerUp=0.9, browOuterUp=0.9, eyeWide=0.7),
    "E009_Smile_Mouth_Open": both(mouthSmile=0.9, jawOpen=0.3, mouthUpperUp=0.45, mouthLowerDown=0.3, cheekSquint=0.5),
    "E019_Frown": both(mouthFrown=0.9, browDown=0.8, mouthShrugLower=0.3),
    "E024_Kiss_Lips_Look_Down": both(mouthPucker=0.9, eyeLookDown=0.8),
    "E057_Cheeks_Puffed": both(cheekPuff=0.9, mouthPress=0.4),
    "E003_Neutral_Eyes_Closed": both(eyeBlink=1.0),
    "E027_Scrunch_Face_Squeeze_Eyes": both(noseSneer=0.9, eyeBlink=1.0, cheekSquint=0.8, browDown=0.9, mouthUpperUp=0.4),
    "E008_Smile_Mouth_Closed": both(mouthSmile=0.9, cheekSquint=0.4),
    "E026_Oooo": both(mouthFunnel=0.9, jawOpen=0.2),
    "E044_Mouth_Nose_Left": {"mouthLeft": 0.9, "noseSneer_L": 0.5},
    "E005_Eyes_Wide_Open": both(eyeWide=1.0, browInnerUp=0.4, browOuterUp=0.4),
    "E010_Smile_Stretched": both(mouthStretch=0.8, mouthSmile=0.5, mouthLowerDown=0.4),
    "E016_Raise_Upper_Lip_Scrunch_Nose": both(mouthUpperUp=0.9, noseSneer=0.9),
    "E028_Scream_Eyebrows_Up": both(jawOpen=1.0, mouthStretch=0.5, browInnerUp=0.8, browOuterUp=0.8, eyeWide=0.5),
    "E043_Mouth_Nose_Right": {"mouthRight": 0.9, "noseSneer_R": 0.5},
    "E035_Lips_Together_Pushed_Forward": both(mouthPucker=0.7, mouthShrugUpper=0.4, mouthShrugLower=0.4),
    "E029_Show_All_Teeth": both(mouthUpperUp=0.8, mouthLowerDown=0.9, mouthStretch=0.5),
    "E020_Lower_Eyebrows": both(browDown=1.0, eyeSquint=0.4),
    "E022_Raise_Inner_Eyebrows": both(browInnerUp=1.0),
    "E036_Stick_Lower_Lip_Out": both(mouthShrugLower=0.9, mouthLowerDown=0.3),
    "E038_Bite_Upper_Lip": both(mouthRollUpper=0.9, jawOpen=0.06),
    "E037_Bite_Lower_Lip": both(mouthRollLower=0.9, jawOpen=0.06),
    "E048_Jaw_Forward": both(jawForward=0.9, jawOpen=0.05),
    "E045_Mouth_Open_Jaw_Right_Show_Teeth": both(jawRight=0.8, jawOpen=0.25, mouthLowerDown=0.5),
    "E046_Mouth_Open_Jaw_Left_Show_Teeth": both(jawLeft=0.8, jawOpen=0.25, mouthLowerDown=0.5),
    "E058_Right_Cheek_Puffed": {"cheekPuff_R": 0.9, "mouthPress_R": 0.4},
    "E059_Left_Cheek_Puffed": {"cheekPuff_L": 0.9, "mouthPress_L": 0.4},
    "E064_Raise_Right_Eyebrow": {"browOuterUp_R": 1.0, "browInnerUp_R": 0.6},
    "E065_Raise_Left_Eyebrow": {"browOuterUp_L": 1.0, "browInnerUp_L": 0.6},
    "E074_Blink": both(eyeBlink=1.0),
}
"""Segment -> weights at its peak."""

_SENTENCES = (
    "SEN_how_do_oysters_make_pearls",
    "SEN_they_all_like_long_hot_showers",
    "SEN_a_voice_spoke_near-at-hand",
    "SEN_the_small_boy_put_the_worm_on_the_hook",
    "SEN_are_you_looking_for_employment",
    "SEN_have_you_got_our_keys_handy",
    "SEN_nobody_else_showed_pleasure",
    "SEN_youre_boiling_milk_aint_you",
)
_GAZES = tuple(f"GAZ_G1_Regular_Full-led_{n}" for n in (12, 2, 22, 10, 14, 0, 24, 6, 18))


def choose_segments(count: int) -> tuple[str, ...]:
    """``count`` segments: the test segment first, then peaks with a sentence and a gaze among them, as many kinds as fit."""
    peaks, sentences, gazes = list(PEAKS), list(_SENTENCES), list(_GAZES)
    order = [TEST_SEGMENT, *peaks[:3], sentences.pop(0), *peaks[3:5], gazes.pop(0)]
    rest = peaks[5:]
    while rest or sentences or gazes:
        order += rest[:4] + sentences[:1] + gazes[:1]
        rest, sentences, gazes = rest[4:], sentences[1:], gazes[1:]
    return tuple(order[:count])


SEGMENT_COUNT = 1 + len(PEAKS) + len(_SENTENCES) + len(_GAZES)
"""How many segments there are to choose from."""


def is_sentence(segment: str) -> bool:
    """Whether the segment is spoken and has sound."""
    return segment.startswith("SEN_")


def gaze_target(segment: str) -> tuple[float, float]:
    """(left, up), each -1..1, of a gaze segment: its number counts a 5 x 5 grid of lights row by row from the upper left."""
    number = int(segment.rsplit("_", 1)[1])
    return 1.0 - 0.5 * (number % 5), 1.0 - 0.5 * (number // 5)
