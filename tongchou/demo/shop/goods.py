"""What the shop sells and what it costs. Prices are in fen (1/100 CNY) as integers, so that sums are exact."""

from __future__ import annotations

import random

_NAMES = (
    ("龙井茶", "Longjing tea"), ("普洱茶", "Pu'er tea"), ("紫砂壶", "Zisha teapot"), ("青花碗", "Blue-and-white bowl"),
    ("丝巾", "Silk scarf"), ("折扇", "Folding fan"), ("毛笔", "Writing brush"), ("宣纸", "Xuan paper"),
    ("砚台", "Inkstone"), ("竹篮", "Bamboo basket"), ("桂花糕", "Osmanthus cake"), ("月饼", "Mooncakes"),
    ("老陈醋", "Aged vinegar"), ("豆瓣酱", "Broad-bean paste"), ("花椒", "Sichuan pepper"), ("枸杞", "Goji berries"),
    ("红枣", "Red dates"), ("核桃", "Walnuts"), ("蜂蜜", "Honey"), ("腊肠", "Cured sausage"),
    ("棉布鞋", "Cotton shoes"), ("蓝印花布", "Indigo cloth"), ("漆盒", "Lacquer box"), ("风筝", "Kite"),
)  # fmt: skip


def goods() -> list[dict[str, object]]:
    """All goods: sku, names, price_fen. The same list in every process, from a fixed seed."""
    prices = random.Random(20)
    return [
        {"sku": f"TC-{index:03d}", "name": {"zh": zh, "en": en}, "price_fen": prices.randrange(1_900, 39_900, 100)}
        for index, (zh, en) in enumerate(_NAMES, start=1)
    ]


PRICES_FEN: dict[str, int] = {str(item["sku"]): int(str(item["price_fen"])) for item in goods()}
COUPONS = {"SPRING": 10, "TEA8": 8}  # percent off
