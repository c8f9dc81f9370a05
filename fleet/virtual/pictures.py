"""Made-up photographs: a sky, a sun, hills. Nobody's picture, and different every time."""

import io
import math

from PIL import Image, ImageDraw

SKIES = [
    ((28, 54, 108), (242, 166, 94)),
    ((92, 168, 224), (226, 240, 246)),
    ((54, 32, 84), (236, 112, 120)),
    ((120, 144, 164), (222, 218, 206)),
    ((16, 92, 120), (170, 226, 206)),
]
HILLS = [(44, 74, 58), (92, 70, 48), (34, 60, 84), (110, 92, 56), (40, 84, 44)]


def landscape(rng, format="JPEG", size=(640, 480)):
    """The bytes of a landscape as JPEG or PNG."""
    width, height = size
    top, bottom = rng.choice(SKIES)
    picture = Image.composite(
        Image.new("RGB", size, bottom), Image.new("RGB", size, top), Image.linear_gradient("L").resize(size)
    )
    draw = ImageDraw.Draw(picture)
    x, y, radius = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.45) * height, rng.uniform(0.04, 0.09) * width
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 238, 190))
    colour = rng.choice(HILLS)
    for distance in range(3):
        shade = tuple(int(part * (1.35 - 0.3 * distance)) for part in colour)
        draw.polygon(_ridge(rng, width, height, (0.5 + 0.15 * distance) * height), fill=shade)
    out = io.BytesIO()
    picture.save(out, format, quality=80)
    return out.getvalue()


def _ridge(rng, width, height, level):
    waves = [(rng.uniform(0.5, 3), rng.uniform(0, math.tau), rng.uniform(8, 30)) for _ in range(3)]
    line = [
        (x, level + sum(swing * math.sin(math.tau * often * x / width + start) for often, start, swing in waves))
        for x in range(0, width + 8, 8)
    ]
    return [*line, (width + 8, height), (0, height)]
