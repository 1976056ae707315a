"""RateCardService and ContractService on the wire."""
