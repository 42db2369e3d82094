//! From a checked document to [`Config`].

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::customizations::{Customizations, Filesystem, Group, User};
use super::document::{Document, Node, Value};
use super::validate::{self, ValueError};
use super::{Config, Error, Secret, check};
use crate::units::Bytes;

/// The words of the file. That they agree with the schema is what the tests of the example are for.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Blueprint {
    customizations: WrittenCustomizations,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenCustomizations {
    hostname: Option<String>,
    kernel: Kernel,
    user: Vec<WrittenUser>,
    group: Vec<WrittenGroup>,
    sshkey: Vec<SshKey>,
    filesystem: Vec<WrittenFilesystem>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Kernel {
    append: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenUser {
    name: String,
    description: Option<String>,
    password: Option<Secret>,
    key: Option<String>,
    home: Option<String>,
    shell: Option<String>,
    groups: Vec<String>,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGroup {
    name: String,
    gid: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SshKey {
    user: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFilesystem {
    mountpoint: String,
    minsize: Option<Bytes>,
    size: Option<Bytes>,
}

pub fn config(document: &Document) -> Result<Config, Error> {
    check::check(document)?;
    // The check has seen every type; an error here would show no value, for a text is what a password may be.
    let blueprint: Blueprint =
        serde_json::from_value(json(&document.root)).map_err(|error| Error::NotJson { message: error.to_string() })?;
    let customizations = customizations(blueprint.customizations);
    let customizations =
        customizations.map_err(|(path, problem)| Error::Value { place: document.place(&path), problem })?;
    Ok(Config { customizations })
}

/// The document for serde, without what is null.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Date => Json::Null,
        Value::Boolean(boolean) => Json::from(*boolean),
        // OK to fall back: the check has refused numbers out of range wherever one is read.
        Value::Integer(number) => u64::try_from(*number).map_or(Json::Null, Json::from),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Array(nodes) => Json::Array(nodes.iter().map(json).collect()),
        Value::Table(entries) => {
            let present = entries.iter().filter(|entry| !matches!(entry.node.value, Value::Null));
            Json::Object(present.map(|entry| (entry.key.clone(), json(&entry.node))).collect::<Map<_, _>>())
        }
    }
}

/// A problem with the path of the key it is about.
type Located = (String, ValueError);

fn customizations(written: WrittenCustomizations) -> Result<Customizations, Located> {
    let located = |path: &str| {
        let path = format!("customizations.{path}");
        move |problem| (path.clone(), problem)
    };
    written.hostname.as_deref().map_or(Ok(()), validate::hostname).map_err(located("hostname"))?;
    let kernel_append = written.kernel.append.filter(|arguments| !arguments.trim().is_empty());
    kernel_append.as_deref().map_or(Ok(()), validate::kernel_arguments).map_err(located("kernel.append"))?;
    let mut users = users(written.user)?;
    for (index, ssh_key) in written.sshkey.into_iter().enumerate() {
        validate::name(&ssh_key.user).map_err(located(&format!("sshkey[{index}].user")))?;
        let keys = validate::ssh_keys(&ssh_key.key).map_err(located(&format!("sshkey[{index}].key")))?;
        user_for_key(&mut users, ssh_key.user).keys.extend(keys);
    }
    Ok(Customizations {
        users,
        groups: groups(written.group)?,
        kernel_append,
        hostname: written.hostname,
        filesystems: filesystems(written.filesystem)?,
    })
}

fn user_for_key(users: &mut Vec<User>, name: String) -> &mut User {
    let index = users.iter().position(|user| user.name == name).unwrap_or_else(|| {
        users.push(User { name, must_exist: true, ..User::default() });
        users.len() - 1
    });
    &mut users[index]
}

fn users(written: Vec<WrittenUser>) -> Result<Vec<User>, Located> {
    let mut users: Vec<User> = Vec::new();
    for (index, written) in written.into_iter().enumerate() {
        let user =
            user(written, &users).map_err(|(key, problem)| (format!("customizations.user[{index}].{key}"), problem))?;
        users.push(user);
    }
    Ok(users)
}

fn user(written: WrittenUser, before: &[User]) -> Result<User, Located> {
    let at = |key: &'static str| move |problem| (key.to_owned(), problem);
    validate::name(&written.name).map_err(at("name"))?;
    validate::unique("user", &written.name, before.iter().map(|user| &user.name)).map_err(at("name"))?;
    written.description.as_deref().map_or(Ok(()), validate::field).map_err(at("description"))?;
    let password = written.password.filter(|password| !password.reveal().is_empty());
    password.as_ref().map_or(Ok(()), |password| validate::password(password.reveal())).map_err(at("password"))?;
    let keys = validate::ssh_keys(written.key.as_deref().unwrap_or_default()).map_err(at("key"))?;
    let home = written.home.as_deref().map(validate::home).transpose().map_err(at("home"))?;
    written.shell.as_deref().map_or(Ok(()), validate::absolute).map_err(at("shell"))?;
    for (index, group) in written.groups.iter().enumerate() {
        validate::name(group).map_err(|problem| (format!("groups[{index}]"), problem))?;
    }
    written.uid.map_or(Ok(()), validate::id).map_err(at("uid"))?;
    written.gid.map_or(Ok(()), validate::id).map_err(at("gid"))?;
    validate::unique_id("uid", written.uid, before.iter().filter_map(|user| user.uid)).map_err(at("uid"))?;
    let WrittenUser { name, description, shell, groups, uid, gid, .. } = written;
    Ok(User { name, must_exist: false, description, password, keys, home, shell, groups, uid, gid })
}

fn groups(written: Vec<WrittenGroup>) -> Result<Vec<Group>, Located> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, WrittenGroup { name, gid }) in written.into_iter().enumerate() {
        let at = |key: &str| {
            let path = format!("customizations.group[{index}].{key}");
            move |problem| (path.clone(), problem)
        };
        validate::name(&name).map_err(at("name"))?;
        validate::unique("group", &name, groups.iter().map(|group| &group.name)).map_err(at("name"))?;
        gid.map_or(Ok(()), validate::id).map_err(at("gid"))?;
        validate::unique_id("gid", gid, groups.iter().filter_map(|group| group.gid)).map_err(at("gid"))?;
        groups.push(Group { name, gid });
    }
    Ok(groups)
}

fn filesystems(written: Vec<WrittenFilesystem>) -> Result<Vec<Filesystem>, Located> {
    let mut filesystems: Vec<Filesystem> = Vec::new();
    for (index, written) in written.into_iter().enumerate() {
        let filesystem = filesystem(written, &filesystems);
        filesystems
            .push(filesystem.map_err(|(key, problem)| (format!("customizations.filesystem[{index}].{key}"), problem))?);
    }
    Ok(filesystems)
}

fn filesystem(written: WrittenFilesystem, before: &[Filesystem]) -> Result<Filesystem, Located> {
    let at = |key: &'static str| move |problem| (key.to_owned(), problem);
    let mountpoint = written.mountpoint;
    if !matches!(mountpoint.as_str(), "/" | "/boot") {
        return Err(at("mountpoint")(ValueError::MountPoint { path: mountpoint }));
    }
    validate::unique("mountpoint", &mountpoint, before.iter().map(|filesystem| &filesystem.mountpoint))
        .map_err(at("mountpoint"))?;
    let (key, minsize) = match (written.minsize, written.size) {
        (Some(_), Some(_)) => return Err(at("size")(ValueError::BothSizes)),
        (None, Some(size)) => ("size", size),
        (minsize, None) => ("minsize", minsize.unwrap_or_default()),
    };
    if minsize == Bytes(0) { Err(at(key)(ValueError::NoSize)) } else { Ok(Filesystem { mountpoint, minsize }) }
}
