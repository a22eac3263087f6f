"""ARNs, in the form in which the guide writes them."""

from relay.base.arn import account_number, identity_arn, topic_arn


def test_they_have_the_form_of_the_guide() -> None:
    assert account_number(7) == "000000000007"
    assert identity_arn("us-east-1", 123456789012, "example.com") == (
        "arn:aws:ses:us-east-1:123456789012:identity/example.com"
    )
    assert topic_arn("eu-west-1", 7, "bounces") == "arn:aws:sns:eu-west-1:000000000007:bounces"
