"""What ferce may and may not be used for, written once; every page and file quotes it from here."""

SHORT = (
    "ferce says what a facial expression resembles, not what a person feels. "
    "Do not use it to infer emotions at work or in education: the EU forbids it "
    "(Art. 5(1)(f), AI Act)."
)

# Regulation (EU) 2024/1689, Art. 5(1)(f) (in force since 2 February 2025) and Art. 50(3).
POINTS: tuple[str, ...] = (
    "This is not a read-out of feelings. ferce describes the apparent expression in one picture; "
    "what a person feels cannot be read from it, and expressions differ between people, cultures "
    "and moments.",
    "Inferring emotions of people in the workplace and in education is forbidden in the European "
    "Union, except for medical or safety reasons: Art. 5(1)(f) of the AI Act, "
    "Regulation (EU) 2024/1689.",
    "People whose faces are read must be informed of it: Art. 50(3) of the same act. Data "
    "protection law applies to their photos.",
    "Do not use it for hiring, policing, border control, lie detection, diagnosis, or any decision "
    "about a person.",
)

FULL = " ".join(POINTS)
