//! Names of the machine's own users and groups, from the hive SAM. Nothing else is read of an account.
//!
//! `SAM\Domains\Account` has in its value `V`, at its end, the machine's SID; the key of each name below
//! `Users\Names` and `Aliases\Names` has an unnamed value whose *type* is the account's number in it.

use std::ops::ControlFlow;

use crate::{
    error::Result,
    machine::Machine,
    registry::{Hive, KeyId},
    security::sid,
};

const DOMAIN: &str = r"SAM\Domains\Account";
/// Bytes of a SID with four sub-authorities.
const MACHINE_SID: usize = 24;
/// Accounts that are named.
const ACCOUNT_CAP: usize = 100_000;

/// Names the accounts of the machine; damage leaves SIDs without a name.
pub(super) fn name(machine: &mut Machine, sam: &Hive) {
    if let Err(error) = read(machine, sam) {
        machine.notes.push(format!(r"HKLM\SAM could not be read for the names of accounts: {error}"));
    }
}

fn read(machine: &mut Machine, sam: &Hive) -> Result<()> {
    let Some(domain) = sam.lookup(DOMAIN)? else { return Ok(()) };
    let Some(value) = sam.value(domain, "V")? else { return Ok(()) };
    let at = value.data.len().checked_sub(MACHINE_SID);
    let Some(domain) = at.and_then(|at| sid::to_string(value.data.get(at..)?).ok()) else { return Ok(()) };
    let host = machine.os.host.clone();
    let mut room = sam.room();
    let mut damage = None;
    for names in ["Users", "Aliases"] {
        let Some(names) = sam.lookup(&format!(r"{DOMAIN}\{names}\Names"))? else { continue };
        let mut keys: Vec<KeyId> = Vec::new();
        sam.subkeys(names, &mut |key| {
            keys.extend(key.ok());
            if keys.len() < ACCOUNT_CAP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        for key in keys {
            let Ok(name) = sam.key(key) else { continue };
            let number = match sam.value_within(key, "", &mut room) {
                Ok(Some(number)) => number,
                Ok(None) => continue,
                Err(error) => {
                    damage.get_or_insert(error);
                    continue;
                }
            };
            let name = String::from_utf8_lossy(&name.name).into_owned();
            let name = host.as_ref().map_or(name.clone(), |host| format!(r"{host}\{name}"));
            machine.accounts.name_sid(format!("{domain}-{}", number.kind), name);
        }
    }
    damage.map_or(Ok(()), Err)
}
