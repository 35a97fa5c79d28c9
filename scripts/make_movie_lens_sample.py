"""Make the embedded sample of movie ratings, in the lesson's schema, from latent factors.

Every film mixes a few genres; every viewer likes some of the genres, and some directions that no
genre tells. Popular films are rated by many, and by people whose taste they are nearer to. All
titles are invented.

    python scripts/make_movie_lens_sample.py [--output data/01_raw/movie_lens_sample]

The same seed gives the same bytes.
"""

import argparse
from pathlib import Path

import numpy as np

SEED = 4
USERS, MOVIES, RATINGS = 150, 280, 8000
GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Drama",
    "Fantasy",
    "Horror",
    "Romance",
    "Science Fiction",
)
SUBJECTS = {
    "Action": ("Convoy", "Last Bridge", "Iron Harbour", "Detonator"),
    "Adventure": ("Lost Meridian", "River of Maps", "Far Island", "Compass"),
    "Animation": ("Paper Fox", "Tin Orchestra", "Little Cloud", "Acorn Street"),
    "Comedy": ("Wrong Wedding", "Lodgers", "Holiday by Mistake", "Cousins"),
    "Crime": ("Quiet Ledger", "Two Alibis", "Night Court", "Borrowed Name"),
    "Drama": ("Winter House", "Daughters", "Salt Fields", "Ordinary Letter"),
    "Fantasy": ("Glass Dragon", "Moon Well", "Seventh Gate", "Hollow Crown"),
    "Horror": ("Cellar", "Thin Walls", "Black Orchard", "Whisperer"),
    "Romance": ("Platform Nine", "Summer of Ada", "Slow Dance", "Postcards"),
    "Science Fiction": ("Orbit Zero", "Second Sun", "Cold Relay", "Machine Garden"),
}
FORMS = ("The {}", "{}", "Return to {}", "Beyond {}", "A Song for {}", "{} at Dawn", "{} Revisited")
FACTORS = 4  # directions of taste beside the genres
FIRST_YEAR, LAST_YEAR = 1955, 2016
START, SPAN = 946_684_800, 15 * 365 * 86_400  # from the year 2000 on, 15 years


class Numbers:
    """Random numbers from the raw output of Philox, which numpy keeps the same for ever."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(seed)

    def uniform(self, *shape: int) -> np.ndarray:
        """Return numbers in (0, 1), 53 bits each."""
        raw = self._bits.random_raw(int(np.prod(shape))) >> np.uint64(11)
        return ((raw.astype(np.float64) + 0.5) * 2.0**-53).reshape(shape)

    def bell(self, *shape: int) -> np.ndarray:
        """Return nearly normal numbers: sums of twelve uniform ones, free of libm's last digits."""
        return self.uniform(*shape, 12).sum(-1) - 6

    def order(self, n: int) -> np.ndarray:
        """Return 0 to n - 1 in a random order."""
        return np.argsort(self.uniform(n), kind="stable")


def make_movies(numbers: Numbers) -> tuple[list[str], list[list[int]], np.ndarray]:
    """Return titles with years, genres, and years."""
    genres: list[list[int]] = []
    for first, second, share in numbers.uniform(MOVIES, 3):
        chosen = {int(first * len(GENRES))}
        if share < 0.55:
            chosen.add(int(second * len(GENRES)))
        genres.append(sorted(chosen))
    # More films of late than of old.
    years = FIRST_YEAR + np.floor(
        (LAST_YEAR + 1 - FIRST_YEAR) * np.sqrt(numbers.uniform(MOVIES))
    ).astype(int)
    titles: list[str] = []
    taken: set[str] = set()
    for movie, draws in enumerate(numbers.uniform(MOVIES, 3)):
        subjects = SUBJECTS[GENRES[genres[movie][int(draws[2] * len(genres[movie]))]]]
        place = int(draws[0] * len(FORMS) * len(subjects))
        for turn in range(len(FORMS) * len(subjects)):
            form, subject = divmod((place + turn) % (len(FORMS) * len(subjects)), len(subjects))
            title = FORMS[form].format(subjects[subject])
            if title not in taken:
                break
        else:
            title = f"{title} {2 + movie % 7}"
            while title in taken:
                title += "I"
        taken.add(title)
        titles.append(f"{title} ({years[movie]})")
    return titles, genres, years


def make_sample(seed: int = SEED) -> dict[str, str]:
    """Return the files' contents by name."""
    numbers = Numbers(seed)
    titles, genres, years = make_movies(numbers)
    has = np.zeros((MOVIES, len(GENRES)))
    for index, own in enumerate(genres):
        has[index, own] = 1
    has /= has.sum(1, keepdims=True)
    likes = 0.7 * numbers.bell(USERS, len(GENRES))
    taste, style = numbers.bell(USERS, FACTORS), 0.3 * numbers.bell(MOVIES, FACTORS)
    # Old films that are still seen are better; so are some genres, on the whole.
    quality = 0.35 * numbers.bell(MOVIES) + 0.25 * (1985 - years) / 30
    quality += has @ (0.25 * numbers.bell(len(GENRES)))
    kindness = 0.35 * numbers.bell(USERS)
    score = 3.0 + likes @ has.T + taste @ style.T + quality + kindness[:, None]
    # Who rates what: popular films, active viewers, and films near the viewer's taste.
    popular = 1.0 * numbers.bell(MOVIES) + 0.5 * quality
    active = 0.7 * numbers.bell(USERS)
    wish = popular + active[:, None] + 0.35 * (score - 3.0)
    wish += -np.log(-np.log(numbers.uniform(USERS, MOVIES)))  # Gumbel noise: a weighted draw
    chosen = np.sort(np.argsort(-wish, axis=None, kind="stable")[:RATINGS])
    user, movie = np.divmod(chosen, MOVIES)
    rating = score[user, movie] + 0.55 * numbers.bell(RATINGS)
    rating = np.clip(np.round(rating * 2) / 2, 0.5, 5.0)
    # Each viewer comes once or twice and rates for an hour.
    visits = numbers.uniform(USERS, 2)
    time = START + SPAN * visits[user, (numbers.uniform(RATINGS) < 0.3).astype(int)]
    time = (time + 3600 * numbers.uniform(RATINGS)).astype(np.int64)
    # Ids as in the lesson: whole numbers with gaps.
    user_ids = np.sort(numbers.order(700)[:USERS]) + 1
    movie_ids = np.sort(numbers.order(9000)[:MOVIES]) + 1
    order = numbers.order(RATINGS)
    lines = [f"{user_ids[user[k]]},{movie_ids[movie[k]]},{rating[k]:.1f},{time[k]}" for k in order]
    movies = [
        f"{movie_ids[k]},{titles[k]},{'|'.join(GENRES[g] for g in genres[k])}"
        for k in range(MOVIES)
    ]
    # Who asks for recommendations: some viewers, and one that nobody has heard of.
    asking = [*user_ids[[3, 40, 77, 120]], 9_999]
    # Two new users rate five well-known films each: one likes what the other does not.
    known = np.argsort(-np.bincount(movie, minlength=MOVIES), kind="stable")[:5]
    new_users = [
        f"{who},{movie_ids[film]},{stars[place]}"
        for who, stars in ((9_001, (5, 4, 1, 2, 5)), (9_002, (1, 2, 5, 4, 1)))
        for place, film in enumerate(known)
    ]
    return {
        "new_users.csv": "\n".join(["userId,movieId,rating", *new_users, ""]),
        "questions.csv": "\n".join(["userId", *map(str, asking), ""]),
        "ratings.csv": "\n".join(["userId,movieId,rating,timestamp", *lines, ""]),
        "movies.csv": "\n".join(["movieId,title,genres", *movies, ""]),
    }


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parents[1] / "data" / "01_raw" / "movie_lens_sample"
    parser.add_argument("--output", type=Path, default=default, help="folder to write to")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in make_sample().items():
        (folder / name).write_bytes(content.encode())


if __name__ == "__main__":
    main()
