"""What evaluation/predictions.csv may hold, the line that refuses it otherwise, and which images are misread."""

import pytest

from review.results import parse_predictions

HEADER = "split,image,actual,predicted,confidence\n"


def test_predictions_are_read_by_split_in_the_order_of_images() -> None:
    rows = "test,1,7,9,0.500000\ntest,0,3,3,1.000000\nvalidation,4,2,2,0\n"
    found = parse_predictions(HEADER + rows)
    assert list(found) == ["validation", "test"]
    assert found["test"].image.tolist() == [0, 1]
    assert found["test"].actual.tolist() == [3, 7]
    assert found["test"].predicted.tolist() == [3, 9]


def test_columns_may_come_in_another_order_and_with_others() -> None:
    found = parse_predictions("image,split,predicted,actual,confidence,hash\n0,test,3,5,0.9,abc\n")
    assert (found["test"].actual.tolist(), found["test"].predicted.tolist()) == ([5], [3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,actual,predicted,confidence\n0,7,7,1.000000\n",
            "column split is missing; expected are split,image,actual,predicted,confidence",
        ),
        ("", "column split is missing"),
        (HEADER, "expected a row for each image, found none"),
        (HEADER + "test,0,7,7\n", "line 2: expected 5 cells, found 4"),
        (HEADER + "test,0,7,7,1,1\n", "line 2: expected 5 cells, found 6"),
        (HEADER + "train,0,7,7,1\n", "line 2: split must be validation or test, got 'train'"),
        (HEADER + "test,0.5,7,7,1\n", "line 2: image must be a whole number, got '0.5'"),
        (HEADER + "test,-1,7,7,1\n", "line 2: image must be a whole number, got '-1'"),
        (HEADER + "test,0,seven,7,1\n", "line 2: actual must be the number of a class, 0 to 999, got 'seven'"),
        (HEADER + "test,0,7,1000,1\n", "line 2: predicted must be the number of a class, 0 to 999, got '1000'"),
        (HEADER + "test,0,7,7,1.000001\n", "line 2: confidence must be a number from 0 to 1, got '1.000001'"),
        (HEADER + "test,0,7,7,-0.1\n", "line 2: confidence must be a number from 0 to 1, got '-0.1'"),
        (HEADER + "test,0,7,7,nan\n", "line 2: confidence must be a number from 0 to 1, got 'nan'"),
        (HEADER + f"test,0,7,7,{'9' * 99}\n", f"got '{'9' * 56}..."),
        (HEADER + "test,0,7,7,1\ntest,0,7,7,1\n", "line 3: test image 0 was predicted before"),
        (HEADER + "test,0,7,7,1\ntest,00,7,7,1\n", "line 3: test image 00 was predicted before"),
    ],
)
def test_predictions_of_another_form_are_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_predictions(text)
    assert message in str(refused.value)


def test_the_same_image_number_in_two_splits_is_two_images() -> None:
    assert set(parse_predictions(HEADER + "test,0,7,7,1\nvalidation,0,1,1,1\n")) == {"test", "validation"}


def test_misread_images_are_named_by_their_numbers_in_ascending_order() -> None:
    found = parse_predictions(HEADER + "test,9,7,1,1\ntest,3,3,3,1\ntest,4,2,0,1\nvalidation,0,1,1,1\n")
    assert found["test"].misread().tolist() == [4, 9]
    assert found["validation"].misread().tolist() == []
