"""Phrases for references and tests, none of which is trained on; rows as in the other bank."""

REFERENCE_ROWS: dict[tuple[int, ...], tuple[tuple[str, ...], ...]] = {
    (1,): (
        ("the inner eyebrows are pulled upwards",),
        ("inner eyebrows drawn upwards",),
        ("the {side} inner eyebrow is pulled upwards",),
        ("a {side} inner eyebrow drawn upwards",),
    ),
    (2,): (
        ("the outer eyebrows are pulled upwards",),
        ("outer eyebrows drawn upwards",),
        ("the {side} outer eyebrow is pulled upwards",),
        ("a {side} outer eyebrow drawn upwards",),
    ),
    (4,): (
        ("the eyebrows are contracted into a frown",),
        ("frowning eyebrows",),
        ("the {side} eyebrow is contracted into a frown",),
        ("a frowning {side} eyebrow",),
    ),
    (5,): (
        ("the upper eyelids are pulled upwards",),
        ("upper eyelids pulled upwards",),
        ("the {side} upper eyelid is pulled upwards",),
        ("a {side} upper eyelid pulled upwards",),
    ),
    (6,): (
        ("the cheeks are pushed upwards",),
        ("cheeks pushed upwards",),
        ("the {side} cheek is pushed upwards",),
        ("a {side} cheek pushed upwards",),
    ),
    (7,): (
        ("the eyes are squeezed to a squint",),
        ("squinting eyes",),
        ("the {side} eye is squeezed to a squint",),
        ("a squinting {side} eye",),
    ),
    (9,): (
        ("the bridge of the nose is crinkled",),
        ("nose wrinkles",),
        ("the nose is crinkled on its {side} side",),
        ("nose wrinkles on the {side} side",),
    ),
    (10,): (
        ("the upper lip is lifted into a sneer",),
        ("a sneering upper lip",),
        ("the upper lip is lifted on the {side} into a sneer",),
        ("a sneer on the {side} side of the upper lip",),
    ),
    (11,): (
        ("the nasolabial furrows are deep",),
        ("deep nasolabial furrows",),
        ("the {side} nasolabial furrow is deep",),
        ("a deep {side} nasolabial furrow",),
    ),
    (12,): (
        ("the corners of the lips are turned upwards",),
        ("upturned corners of the mouth",),
        ("the {side} corner of the lips is turned upwards",),
        ("an upturned {side} corner of the mouth",),
    ),
    (14,): (
        ("the corners of the mouth are drawn into a smirk",),
        ("a smirk",),
        ("the {side} corner of the mouth is drawn into a smirk",),
        ("a smirk on the {side} side",),
    ),
    (15,): (
        ("the corners of the lips are dragged downwards",),
        ("downward-pointing corners of the mouth",),
        ("the {side} corner of the lips is dragged downwards",),
        ("a downward-pointing {side} corner of the mouth",),
    ),
    (16,): (
        ("the lower lip is dragged downwards",),
        ("visible lower teeth",),
        ("the lower lip is dragged downwards on the {side}",),
        ("lower teeth visible on the {side}",),
    ),
    (17,): (
        ("the chin is pushed upwards",),
        ("a bunched chin that lifts the lower lip",),
    ),
    (18,): (
        ("the lips are drawn together into a pucker",),
        ("lips drawn together into a pucker",),
        ("the lips are drawn together into a pucker of the {side} lip",),
        ("lips drawn together into a pucker of the {side} lip",),
    ),
    (20,): (
        ("the lips are pulled sideways",),
        ("lips pulled sideways",),
        ("the {side} mouth corner is pulled sideways",),
        ("a {side} mouth corner pulled sideways",),
    ),
    (22,): (
        ("the lips are flared outwards like a funnel",),
        ("lips flared outwards like a funnel",),
        ("the lips are flared outwards like a funnel at the {side} lip",),
        ("lips flared outwards like a funnel at the {side} lip",),
    ),
    (23,): (
        ("the lips are narrowed and tense",),
        ("narrowed, tense lips",),
        ("the lips are narrowed and tense at the {side} lip",),
        ("narrowed, tense lips at the {side} lip",),
    ),
    (24,): (
        ("the lips are squeezed together",),
        ("lips squeezed together",),
        ("the lips are squeezed together at the {side} lip",),
        ("lips squeezed together at the {side} lip",),
    ),
    (25,): (
        ("the lips are separated",),
        ("separated lips",),
    ),
    (26,): (
        ("the jaw is hanging open",),
        ("a jaw hanging open",),
    ),
    (27,): (
        ("the mouth is stretched open",),
        ("a mouth stretched open",),
    ),
    (28,): (
        ("the lips are rolled inwards",),
        ("lips rolled inwards",),
        ("the lips are rolled inwards at the {side} lip",),
        ("lips rolled inwards at the {side} lip",),
    ),
    (43,): (
        ("the eyelids are shut",),
        ("shut eyelids",),
        ("the {side} eyelid is shut",),
        ("a shut {side} eyelid",),
    ),
    (1, 2): (
        ("the eyebrows are pulled upwards",),
        ("eyebrows drawn upwards",),
        ("the {side} eyebrow is pulled upwards",),
        ("a {side} eyebrow drawn upwards",),
    ),
    (25, 26): (
        ("the lips are separated and the jaw is hanging open",),
        ("separated lips and a jaw hanging open",),
    ),
}
