#include "job/catalogue.hpp"

#include <map>

#include "base/error.hpp"
#include "job/findings.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

Keys make_table() {
  Keys keys;
  add_model_keys(keys);
  add_data_keys(keys);
  add_train_keys(keys);
  add_cluster_keys(keys);
  return keys;
}

/// The default of a key goes in by the same setter as any value.
void set_default(const Key& key, Job& job, std::size_t entry) {
  key.set(job, entry, default_node(key), [&](const Node&, const std::string& message) {
    fail(Kind::internal, "the default of {} {}", key.info.path, message);
  });
}

}  // namespace

const Keys& table() {
  static const Keys keys = make_table();
  return keys;
}

const Key* find(const std::string& path) {
  static const std::map<std::string, const Key*> by_path = [] {
    std::map<std::string, const Key*> made;
    for (const Key& key : table()) made.emplace(key.info.path, &key);
    return made;
  }();
  const auto found = by_path.find(path);
  return found == by_path.end() ? nullptr : found->second;
}

std::string parent_of(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('.') + 1); }

std::vector<std::string> children_of(const std::string& path) {
  std::vector<std::string> names;
  for (const Key& key : table())
    if (parent_of(key.info.path) == path) names.push_back(name_of(key.info.path));
  return names;
}

Node default_node(const Key& key) {
  if (key.shape != Shape::list_of_text) return text_node(key.info.default_text);
  const std::vector<Override> none;
  Findings findings(key.info.default_text, key.info.path, none);
  auto list = parse_value(key.info.default_text, 0, findings);
  if (!list) fail(Kind::internal, "the default of {} is no list", key.info.path);
  return *list;
}

void set_defaults(Job& job) {
  for (const Key& key : table())
    if (key.set && !key.in_list()) set_default(key, job, 0);
}

void set_entry_defaults(Job& job, const std::string& list, std::size_t entry) {
  for (const Key& key : table())
    if (key.in_list() && key.list_path() == list && !key.required()) set_default(key, job, entry);
}

std::size_t entries_of(const Key& key, const Job& job) {
  return key.in_list() ? find(key.list_path())->list.size(job) : 1;
}

const std::vector<KeyInfo>& keys() {
  static const std::vector<KeyInfo> infos = [] {
    std::vector<KeyInfo> made;
    for (const Key& key : table()) made.push_back(key.info);
    return made;
  }();
  return infos;
}

const KeyInfo* find_key(std::string_view path) {
  const Key* key = find(std::string(path));
  return key ? &keys()[static_cast<std::size_t>(key - table().data())] : nullptr;
}

std::string policy_name(PolicyName policy) {
  Job job;
  job.sync.policy = policy;
  return find("sync.policy")->get(job, 0);
}

std::string codec_name(Codec codec) {
  Job job;
  job.sync.codec = codec;
  return find("sync.codec")->get(job, 0);
}

std::string topology_name(TopologyKind kind) {
  Job job;
  job.topology.kind = kind;
  return find("topology.kind")->get(job, 0);
}

const std::vector<std::string>& policy_names() { return find("sync.policy")->info.choices; }

std::optional<PolicyName> policy_named(const std::string& name) {
  Job job;
  bool known = true;
  find("sync.policy")->set(job, 0, text_node(name), [&](const Node&, const std::string&) { known = false; });
  return known ? std::optional(job.sync.policy) : std::nullopt;
}

}  // namespace dtrain::job
