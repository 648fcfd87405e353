from ledger.application import ConsentLedger
from ledger.sequencer import sequence
from tests import builders as b

def test_it(ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob")
    first = sequence(ledger)
    print(first)
    assert sequence(ledger) == first
    ledger.record("ann", b.toggled("off"))
    print(sequence(ledger))
