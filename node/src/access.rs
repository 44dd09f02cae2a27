//! Who may call: API keys of partners and operators.
