"""Phrases to train on: units -> (clauses, nouns, clauses of one side, nouns of one side)."""

TRAINING_ROWS: dict[tuple[int, ...], tuple[tuple[str, ...], ...]] = {
    (1,): (
        (
            "the inner brows are raised",
            "the inner ends of the brows are lifted",
            "the brows are slanted up towards the middle",
        ),
        ("raised inner brows", "brows lifted at their inner ends", "obliquely slanted brows"),
        ("the {side} inner brow is raised", "the inner end of the {side} brow is lifted"),
        ("a raised {side} inner brow",),
    ),
    (2,): (
        (
            "the outer brows are raised",
            "the outer ends of the brows are lifted",
            "the outer brows are arched",
        ),
        ("raised outer brows", "lifted outer brows", "arched outer brows"),
        ("the {side} outer brow is raised", "the outer end of the {side} brow is lifted"),
        ("a raised {side} outer brow",),
    ),
    (4,): (
        (
            "the brows are drawn together",
            "the brows are lowered",
            "the brows are furrowed",
            "the brows are knitted",
        ),
        ("lowered brows", "furrowed brows", "knitted brows", "brows drawn together"),
        ("the {side} brow is lowered", "the {side} brow is drawn down"),
        ("a lowered {side} brow",),
    ),
    (5,): (
        (
            "the upper lids are raised",
            "the eyes are opened wide",
            "the eyes are widened",
        ),
        ("raised upper lids", "widened eyes", "wide open eyes"),
        ("the {side} upper lid is raised", "the {side} eye is opened wide"),
        ("a raised {side} upper lid", "a wide open {side} eye"),
    ),
    (6,): (
        (
            "the cheeks are raised",
            "the cheeks are lifted towards the eyes",
            "the cheeks are bunched up under the eyes",
        ),
        ("raised cheeks", "lifted cheeks", "crow's feet beside the eyes"),
        ("the {side} cheek is raised", "the {side} cheek is lifted"),
        ("a raised {side} cheek",),
    ),
    (7,): (
        (
            "the lids are tightened",
            "the eyes are narrowed",
            "the lower lids are tensed",
        ),
        ("tightened lids", "narrowed eyes", "tense eyelids"),
        ("the {side} lid is tightened", "the {side} eye is narrowed"),
        ("a tightened {side} lid", "a narrowed {side} eye"),
    ),
    (9,): (
        ("the nose is wrinkled", "the nose is scrunched up"),
        ("a wrinkled nose", "wrinkles along the nose", "a scrunched nose"),
        ("the {side} side of the nose is wrinkled",),
        ("a nose wrinkled on its {side} side",),
    ),
    (10,): (
        ("the upper lip is raised", "the upper lip is pulled up", "the upper lip is curled"),
        ("a raised upper lip", "a curled upper lip"),
        ("the upper lip is raised on the {side}",),
        ("an upper lip raised on the {side}",),
    ),
    (11,): (
        ("the nasolabial folds are deepened", "the nasolabial furrows are deepened"),
        ("deepened nasolabial folds", "deep nasolabial folds"),
        ("the {side} nasolabial fold is deepened",),
        ("a deepened {side} nasolabial fold",),
    ),
    (12,): (
        (
            "the lip corners are pulled up",
            "the mouth corners are lifted into a smile",
            "the lip corners are drawn up",
        ),
        ("lip corners pulled up", "a smiling mouth", "a smile"),
        ("the {side} lip corner is pulled up", "the {side} lip corner is drawn up"),
        ("a {side} lip corner pulled up",),
    ),
    (14,): (
        (
            "the mouth corners are tightened inwards",
            "the lip corners are dimpled",
        ),
        ("tightened mouth corners", "dimples beside the mouth"),
        ("the {side} mouth corner is tightened inwards", "the {side} lip corner is dimpled"),
        ("a tightened {side} mouth corner",),
    ),
    (15,): (
        (
            "the lip corners are pulled down",
            "the mouth corners are turned down",
            "the lip corners are depressed",
        ),
        ("lip corners pulled down", "a downturned mouth", "drooping mouth corners"),
        ("the {side} lip corner is pulled down", "the {side} mouth corner is turned down"),
        ("a {side} lip corner pulled down",),
    ),
    (16,): (
        ("the lower lip is pulled down", "the lower lip is drawn down"),
        ("a lower lip pulled down", "lower teeth laid bare"),
        ("the lower lip is pulled down on the {side}",),
        ("a lower lip pulled down on the {side}",),
    ),
    (17,): (
        ("the chin is pushed up", "the chin is raised", "the chin is wrinkled"),
        ("a raised chin", "a chin pushed up", "a wrinkled chin"),
    ),
    (18,): (
        ("the lips are puckered", "the lips are pursed"),
        ("puckered lips", "pursed lips"),
        ("the lips are puckered on the {side} lip alone",),
        ("lips puckered on the {side} lip alone",),
    ),
    (20,): (
        ("the lips are stretched sideways", "the mouth is stretched sideways"),
        ("lips stretched sideways", "a mouth stretched sideways"),
        ("the {side} mouth corner is stretched sideways",),
        ("a {side} mouth corner stretched sideways",),
    ),
    (22,): (
        ("the lips are funnelled", "the lips are shaped into a funnel"),
        ("funnelled lips",),
        ("the lips are funnelled on the {side} lip alone",),
        ("lips funnelled on the {side} lip alone",),
    ),
    (23,): (
        ("the lips are tightened", "the lips are drawn thin"),
        ("tightened lips", "tight and thin lips"),
        ("the lips are tightened on the {side} lip alone",),
        ("lips tightened on the {side} lip alone",),
    ),
    (24,): (
        ("the lips are pressed together", "the lips are pressed against each other"),
        ("pressed lips", "lips pressed together"),
        ("the lips are pressed on the {side} lip alone",),
        ("lips pressed on the {side} lip alone",),
    ),
    (25,): (
        ("the lips are parted", "the lips are open", "the lips are apart"),
        ("parted lips", "lips that are apart"),
    ),
    (26,): (
        ("the jaw is dropped", "the jaw is lowered"),
        ("a dropped jaw", "a lowered jaw"),
    ),
    (27,): (
        ("the mouth is stretched wide open", "the mouth is gaping"),
        ("a mouth stretched wide open", "a gaping mouth"),
    ),
    (28,): (
        ("the lips are sucked in", "the lips are rolled in over the teeth"),
        ("lips sucked in", "lips rolled in"),
        ("the lips are sucked in on the {side} lip alone",),
        ("lips sucked in on the {side} lip alone",),
    ),
    (43,): (
        ("the eyes are closed", "the eyes are shut"),
        ("closed eyes", "shut eyes"),
        ("the {side} eye is closed",),
        ("a closed {side} eye",),
    ),
    (1, 2): (
        ("the brows are raised", "the brows are lifted"),
        ("raised brows", "lifted brows"),
        ("the {side} brow is raised",),
        ("a raised {side} brow",),
    ),
    (1, 4): (
        ("the inner brows are raised and drawn together",),
        ("inner brows raised and drawn together",),
    ),
    (1, 2, 4): (
        ("the brows are raised and drawn together",),
        ("brows raised and drawn together",),
    ),
    (25, 26): (
        ("the mouth is open with a dropped jaw",),
        ("an open mouth with a dropped jaw",),
    ),
}
