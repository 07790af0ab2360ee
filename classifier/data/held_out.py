"""Which training images are held out for validation."""

import numpy as np


def hold_out(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose `count` rows of `labels`, at most a quarter of all, so that each class keeps its share.

    They are the rows that scikit-learn's `train_test_split(..., stratify=labels)` chooses. Its import would take most
    of the memory and time of preprocess, and it makes a Python object of each row.

    Args:
        labels: integers (n,).

    Returns:
        bool (n,), true for the rows held out.

    Raises:
        ValueError: `count` is less than the number of classes, or a class has only one row.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    count = min(count, len(labels) // 4)
    classes, counts = np.unique(labels, return_counts=True)
    if count and (count < len(classes) or counts.min() < 2):
        least = f"at least the number of classes, {len(classes):,}, with two training images of each class or more"
        raise ValueError(f"preprocess.validation_images cannot be {count:,}: it must be {least}; 0 holds out none")
    random = np.random.RandomState(seed)
    kept = share_out(len(labels) - count, counts, random)
    drawn = share_out(count, counts - kept, random)
    for label, first, number in zip(classes, kept, drawn, strict=True):
        rows = np.flatnonzero(labels == label)
        held_out[random.permutation(rows)[first : first + number]] = True
    return held_out


def share_out(count: int, rows: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Share out a count over classes in proportion to their `rows`, int (classes,); what is left over, by chance."""
    exact = rows / rows.sum() * count if count else np.zeros(len(rows))
    shares = np.floor(exact)
    left, remainders = int(count - shares.sum()), exact - shares
    for remainder in np.unique(remainders)[::-1]:
        if left:
            equal = np.flatnonzero(remainders == remainder)
            chosen = random.choice(equal, min(len(equal), left), replace=False)
            shares[chosen] += 1
            left -= len(chosen)
    return shares.astype(int)
