"""Long proofs; script/campaign runs them."""
