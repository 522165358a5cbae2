"""Words for references and tests, in no phrase the same as those to train on; same form."""

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
        ("the upper eyelids are pulled high above the iris",),
        ("eyes held wide open",),
        ("the {side} upper eyelid is pulled high above the iris",),
        ("a {side} eye held wide open",),
    ),
    (6,): (
        ("the cheeks are pushed upwards",),
        ("cheeks pushed upwards",),
        ("the {side} cheek is pushed upwards",),
        ("a {side} cheek pushed upwards",),
    ),
    (7,): (
        ("the eyelids are squeezed to a squint",),
        ("squinting eyes",),
        ("the {side} eyelid is squeezed to a squint",),
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
        ("the nasolabial furrows are marked deeply",),
        ("deep nasolabial furrows",),
        ("the {side} nasolabial furrow is marked deeply",),
        ("a deep {side} nasolabial furrow",),
    ),
    (12,): (
        ("the corners of the lips are turned upwards",),
        ("upturned corners of the mouth",),
        ("the {side} corner of the lips is turned upwards",),
        ("an upturned {side} corner of the mouth",),
    ),
    (14,): (
        ("the corners of the mouth are pressed in as for a smirk",),
        ("a smirk",),
        ("the {side} corner of the mouth is pressed in as for a smirk",),
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
        ("the chin boss is thrust upwards",),
        ("a bunched chin that lifts the lower lip",),
    ),
    (18,): (
        ("the lips are gathered as for a kiss",),
        ("lips gathered as for a kiss",),
        ("the {side} lip is gathered as for a kiss",),
        ("one lip, the {side}, gathered as for a kiss",),
    ),
    (20,): (
        ("the lips are drawn out tensely to the sides",),
        ("a tensely widened mouth",),
        ("the lips are drawn out tensely to the {side}",),
        ("a mouth tensely widened to the {side}",),
    ),
    (22,): (
        ("the lips are flared outwards like a funnel",),
        ("lips flared outwards like a funnel",),
        ("the {side} lip is flared outwards like a funnel",),
        ("one lip, the {side}, flared outwards like a funnel",),
    ),
    (23,): (
        ("the lips are narrowed and tense",),
        ("narrowed, tense lips",),
        ("the {side} lip is narrowed and tense",),
        ("a narrowed, tense {side} lip",),
    ),
    (24,): (
        ("the lips are squeezed shut under pressure",),
        ("lips squeezed shut under pressure",),
        ("the {side} lip is squeezed under pressure",),
        ("one lip, the {side}, squeezed under pressure",),
    ),
    (25,): (
        ("the lips are separated",),
        ("separated lips",),
    ),
    (26,): (
        ("the jaw is hanging down",),
        ("a hanging jaw",),
    ),
    (27,): (
        ("the mouth is torn wide open",),
        ("a mouth torn wide open",),
    ),
    (28,): (
        ("the lips are drawn into the mouth",),
        ("lips drawn into the mouth",),
        ("the {side} lip is drawn into the mouth",),
        ("one lip, the {side}, drawn into the mouth",),
    ),
    (43,): (
        ("the eyelids are fully down over the eyes",),
        ("eyes covered by their lids",),
        ("the {side} eyelid is fully down over the eye",),
        ("a {side} eye covered by its lid",),
    ),
    (1, 2): (
        ("the eyebrows are pulled upwards",),
        ("eyebrows drawn upwards",),
        ("the {side} eyebrow is pulled upwards",),
        ("a {side} eyebrow drawn upwards",),
    ),
    (25, 26): (
        ("the mouth is agape with a hanging jaw",),
        ("a mouth agape over a hanging jaw",),
    ),
}
