#pragma once
/// One entry of the catalogue: what a person may know about a key, and how its text gets into a Job and out again.

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "job/catalogue.hpp"
#include "job/job.hpp"
#include "job/tree.hpp"

namespace dtrain::job {

enum class Shape {
  map,
  map_or_path,
  map_or_word,  ///< the word stands for the defaults of the keys below
  list_of_maps,
  list_of_text,
  text,
  path,
  choice,
  boolean,
  auto_boolean,
  integer,
  auto_integer,
  number,
  auto_number,
  distribution,
  length,
  time,
  rate,
  bytes
};

/// What a number may be.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
};
inline Bounds above(double low) { return {.low = low, .low_open = true}; }
inline Bounds at_least(double low) { return {.low = low}; }
inline Bounds between(double low, double high) { return {.low = low, .high = high}; }
inline Bounds strictly_between(double low, double high) {
  return {.low = low, .high = high, .low_open = true, .high_open = true};
}
inline Bounds from_to_below(double low, double high) { return {.low = low, .high = high, .high_open = true}; }

/// "> 0", ">= 0", "[0, 1)", "".
std::string describe(const Bounds& bounds);
/// "must be at least 0, got -3"; "" if `value`, which was written as `text`, is within.
std::string out_of(const Bounds& bounds, double value, const std::string& text);

/// Told what is wrong with a value; the message goes on where the key's path ends ("must be at least 0, got -3").
using Complain = std::function<void(const Node& at, const std::string& message)>;

/// The field of a key; `entry` counts the maps of the list that the key stands in, and matters to such keys only.
template <class T>
using Access = std::function<T&(Job& job, std::size_t entry)>;

/// A list of maps: how many there are, and how it is made that long.
struct ListAccess {
  std::function<std::size_t(const Job& job)> size;
  std::function<void(Job& job, std::size_t size)> resize;
};

/// The functions are empty for maps and lists of maps, which have no value of their own.
struct Key {
  KeyInfo info;
  Shape shape = Shape::text;
  Bounds bounds;
  /// Takes a value over, or complains and leaves the field as it was.
  std::function<void(Job& job, std::size_t entry, const Node& value, const Complain& complain)> set;
  /// The value as YAML on one line, which `set` reads back to the same.
  std::function<std::string(Job& job, std::size_t entry)> get;
  ListAccess list;      ///< of a list of maps
  std::string example;  ///< how a required key may be given, for messages

  bool required() const { return info.default_text == "(required)"; }
  /// The list of maps that the key stands in ("model.layers" for "model.layers[].dense"), or "".
  std::string list_path() const { return info.path.substr(0, in_list() ? info.path.find("[].") : 0); }
  bool in_list() const { return info.path.find("[].") != std::string::npos; }
};

using Keys = std::vector<Key>;

/// The catalogue, in order; maps before what they hold.
const Keys& table();
const Key* find(const std::string& path);
/// "train.optimizer" of "train.optimizer.type"; "" of a first-level key.
std::string parent_of(const std::string& path);
/// "type" of "train.optimizer.type".
std::string name_of(const std::string& path);
/// Names of the keys of a map ("" for the job itself), in order.
std::vector<std::string> children_of(const std::string& path);

/// The default text of a key that has a value, as a tree.
Node default_node(const Key& key);
/// Sets every key outside lists of maps to its default.
void set_defaults(Job& job);
/// Sets the keys of one entry of a list of maps to their defaults.
void set_entry_defaults(Job& job, const std::string& list, std::size_t entry);
/// How many maps the key's list holds; 1 for a key in none, whose `entry` is 0.
std::size_t entries_of(const Key& key, const Job& job);

/// `text` as YAML that reads back as the same text.
std::string to_yaml(const std::string& text);

// Sections of the catalogue, one file each.
void add_model_keys(Keys& keys);
void add_data_keys(Keys& keys);
void add_column_keys(Keys& keys);  ///< called by add_data_keys() in its place
void add_train_keys(Keys& keys);
void add_cluster_keys(Keys& keys);
void add_sync_keys(Keys& keys);  ///< called by add_cluster_keys() in its place

// Builders, one for each shape.
Key map_key(std::string path, std::string help);
Key text_key(std::string path, Access<std::string> field, std::string default_text, std::string help);
Key path_key(std::string path, Access<std::string> field, std::string default_text, std::string help);
Key text_list_key(std::string path, Access<std::vector<std::string>> field, std::string default_text, std::string help);
Key boolean_key(std::string path, Access<bool> field, std::string default_text, std::string help);
Key auto_boolean_key(std::string path, Access<std::optional<bool>> field, std::string help);
Key integer_key(std::string path, Access<std::int64_t> field, Bounds bounds, std::string default_text,
                std::string help);
Key seed_key(std::string path, Access<std::uint64_t> field, std::string default_text, std::string help);
Key auto_integer_key(std::string path, Access<std::optional<std::int64_t>> field, Bounds bounds, std::string help);
Key number_key(std::string path, Access<double> field, Bounds bounds, std::string default_text, std::string help);
Key auto_number_key(std::string path, Access<std::optional<double>> field, Bounds bounds, std::string help);
/// Empty by default; otherwise what parse_distribution() takes. A trace's file is read later, when its folder is known.
Key distribution_key(std::string path, Access<std::string> field, std::string help);
Key length_key(std::string path, Access<Length> field, bool time_too, std::string default_text, std::string help);
Key time_key(std::string path, Access<double> field, std::string default_text, std::string help);
/// The same where 0 is none.
Key delay_key(std::string path, Access<double> field, std::string help);
/// Bits per second; 0, the default, for no limit.
Key rate_key(std::string path, Access<double> field, std::string help);
/// Bytes; 0, the default, for no limit.
Key bytes_key(std::string path, Access<double> field, std::string help);
Key assertion_list_key(std::string path, Access<std::vector<Assertion>> field, std::string help);

/// A list of maps that must hold at least one, if it is required.
Key map_list_key(std::string path, ListAccess list, bool required, std::string example, std::string help);
/// A required key, with an example of its value.
Key required_key(Key key, std::string example);

/// Adds the unit that a person should think of.
Key in_unit(Key key, std::string unit);

/// The text of a node, or nullptr after a complaint that it "must be `what`".
const std::string* text_of(const Node& node, const std::string& what, const Complain& complain);
/// Whether the node is a list, or nothing; complains otherwise that it "must be a list of `what`".
bool is_list(const Node& node, const std::string& what, const Complain& complain);
/// Index of the choice that a node names.
std::optional<std::size_t> choose(const Node& node, const std::vector<std::string>& choices, const Complain& complain);

template <class E>
Key choice_key(std::string path, Access<E> field, const std::vector<std::pair<std::string, E>>& choices,
               std::string default_text, std::string help) {
  Key key{{std::move(path), "choice", "", "", {}, std::move(default_text), std::move(help)},
          Shape::choice,
          {},
          {},
          {},
          {},
          {}};
  for (const auto& choice : choices) key.info.choices.push_back(choice.first);
  key.set = [=, names = key.info.choices](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (const auto chosen = choose(node, names, complain)) field(job, entry) = choices[*chosen].second;
  };
  key.get = [=](Job& job, std::size_t entry) {
    for (const auto& [name, value] : choices)
      if (value == field(job, entry)) return name;
    return std::string();
  };
  return key;
}

/// A list of words, each one of the choices.
template <class E>
Key choice_list_key(std::string path, Access<std::vector<E>> field,
                    const std::vector<std::pair<std::string, E>>& choices, std::string default_text, std::string help) {
  Key key{{std::move(path), "list of choices", "", "", {}, std::move(default_text), std::move(help)},
          Shape::list_of_text,
          {},
          {},
          {},
          {},
          {}};
  for (const auto& choice : choices) key.info.choices.push_back(choice.first);
  key.set = [=, names = key.info.choices](Job& job, std::size_t entry, const Node& node, const Complain& complain) {
    if (!is_list(node, "words", complain)) return;
    std::vector<E> chosen;
    for (const Entry& item : node.entries)
      if (const auto which = choose(item.value, names, complain)) chosen.push_back(choices[*which].second);
    field(job, entry) = std::move(chosen);
  };
  key.get = [=](Job& job, std::size_t entry) {
    std::string text;
    for (const E value : field(job, entry))
      for (const auto& [name, named] : choices)
        if (named == value) text += (text.empty() ? "" : ", ") + name;
    return "[" + text + "]";
  };
  return key;
}

}  // namespace dtrain::job
