#pragma once
/// Payloads that are Json, written and read. Included by the files that pack them.
///
/// Of each message the members are named once, by `fields(io, message)`, which calls io(name, member) for each.

#include <concepts>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.hpp"
#include "base/json.hpp"

namespace dtrain::role {

/// A message that is read into, or written as it is.
template <class Some, class Message>
concept Either = std::same_as<std::remove_const_t<Some>, Message>;

struct Writing {
  Json json;
  template <class Member>
  void operator()(const char* name, const Member& member) {
    json[name] = member;
  }
};

struct Reading {
  const Json& json;
  template <class Member>
  void operator()(const char* name, Member& member) const {
    json.at(name).get_to(member);
  }
};

template <class Message>
Json written(const Message& message) {
  Writing out;
  fields(out, message);
  return out.json;
}

/// Throws Json::exception where a member is missing, or of another type.
template <class Message>
Message taken(const Json& json) {
  Message message;
  const Reading in{json};
  fields(in, message);
  return message;
}

/// Runs a reader of untrusted Json: anything missing, of another type or out of range gives nullopt.
template <class Read>
auto attempt(std::string_view payload, Read read) -> std::optional<decltype(read(Json()))> {
  try {
    const Json json = Json::parse(payload, nullptr, false);
    if (json.is_discarded()) return std::nullopt;
    return read(json);
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const std::out_of_range&) {  // as readers throw it themselves
    return std::nullopt;
  }
}

template <class Message>
std::optional<Message> read(std::string_view payload) {
  return attempt(payload, [](const Json& json) { return taken<Message>(json); });
}

/// Of what the coordinator sends: throws Error(Kind::internal) if there is no value.
template <class Value>
Value trusted(std::optional<Value> value, const char* what) {
  if (!value) fail(Kind::internal, "the coordinator sent a {} that cannot be read; is it of another version?", what);
  return std::move(*value);
}

}  // namespace dtrain::role
