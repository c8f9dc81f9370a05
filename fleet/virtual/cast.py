"""Who and what appears in the demo: places phones stand at, models, people who write, what they write. All made up."""

PLACES = (
    "Harbour office", "North mast", "Clinic Lakeside", "School roof", "Depot east", "Ferry landing", "Old mill",
    "Market square", "Ranger post 3", "Village hall", "Water tower", "Seed store", "Radio studio", "Bus station",
    "Library annex", "Fish hall", "Quarry gate", "Hill chapel", "Lighthouse", "Power house",
)  # fmt: skip
MODELS = (  # maker, model, Android API level, version of the app
    ("HTC", "Wildfire S A510e", 10, 30),
    ("samsung", "GT-S5360", 10, 30),
    ("samsung", "GT-I9100", 16, 30),
    ("LGE", "LG-P500", 10, 30),
    ("HUAWEI", "U8150", 8, 18),
    ("Sony Ericsson", "ST15i", 15, 30),
    ("motorola", "XT320", 10, 30),
    ("TECNO", "TECNO N3", 10, 17),
    ("samsung", "SM-G361F", 22, 30),
    ("ZTE", "ZTE-BLADE", 8, 30),
)
TEXTS = (
    "Good morning, the road past the mill is open again.",
    "Received, thank you!",
    "Can you send two people on Thursday?",
    "Stock is down to 14 boxes, please deliver before the weekend.",
    "YES",
    "STOP",
    "Water level 2.31 m at 07:00",
    "The generator started fine after the oil change 👍",
    "Who is on duty tonight?",
    "Habari za asubuhi, tumefika salama.",
    "Le camion est arrivé, tout est en ordre.",
    "Привет, связь снова работает",
    "Sorry, wrong number.",
    "Price today: maize 320, beans 780, rice 1,150 per bag. Rice is short in town and will go up before the "
    "holiday, so whoever can wait with selling should do that; transport leaves Friday at six from the depot.",
    "Meeting moved to 15:30, same room",
    "你好，我们明天早上八点出发。",
    "Rain since noon, river rising slowly",
    "Is the clinic open on Saturday?",
)
PHOTO_TEXTS = (
    "View from the mast this morning",
    "The new fence, as promised",
    "Look at this sky",
    "Damage at the gate",
    "",
)
LOG_LINES = (
    "Connected to Wi-Fi network", "Message list updated", "Low memory: background apps were closed",
    "Screen locked", "Time synchronised with the network",
)  # fmt: skip


def correspondents(rng, count=6):
    """Numbers from a range set aside for fiction (+1 … 555 01xx)."""
    areas = ("202", "303", "415", "617", "808")
    return [f"+1{rng.choice(areas)}55501{rng.randrange(100):02d}" for _ in range(count)]


def number(position):
    """The number of the demo's phone at this position: UK mobile numbers kept free for drama, and those above."""
    return f"+4477009{position:05d}"


def label(position):
    """What the demo calls this phone."""
    turn, place = divmod(position, len(PLACES))
    return PLACES[place] + (f" {turn + 1}" if turn else "")
