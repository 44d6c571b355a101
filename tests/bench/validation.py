"""Section 5: what the checks of a token cost above the bare cryptography."""

from bench.children import python
from bench.report import Column, Plan, Section, median, median_ratio


def measure(plan: Plan) -> Section:
    """``TokenValidator.validate`` next to ``jwt.decode`` and to nothing but the signature."""
    rounds, tokens = plan.count(15, 2), plan.count(300, 10)
    section = Section(
        name="validate",
        title=f"5. Validation of a token, CPU us each, {rounds} rounds of {tokens} fresh tokens, medians",
        columns=[
            Column(key="name", heading="algorithm"),
            Column(key="validate_us", heading="TokenValidator\n.validate", form=".0f"),
            Column(key="decode_us", heading="jwt.decode", form=".0f"),
            Column(key="verify_us", heading="signature\nalone", form=".0f"),
            Column(key="to_decode", heading="validate to\njwt.decode", form=".2f"),
            Column(key="to_verify", heading="validate to\nsignature", form=".2f"),
        ],
        notes=["jwt.decode gets the key ready-made and checks signature, exp, iat, aud and iss only"],
    )
    with python("time_validate.py", str(rounds), str(tokens)) as child:
        found = child.facts(180)
    for algorithm, times in found.items():
        section.rows.append(
            {
                "name": algorithm,
                "validate_us": median(times["validate"]),
                "decode_us": median(times["jwt.decode"]),
                "verify_us": median(times["verify"]),
                "to_decode": median_ratio(times["validate"], times["jwt.decode"]),
                "to_verify": median_ratio(times["validate"], times["verify"]),
            }
        )
    return section
