#pragma once
/// Readers of payloads that are Json. Included by the files that pack them.

#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/json.hpp"

namespace dtrain::role {

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

/// Of what the coordinator sends: throws Error(Kind::internal) if there is no value.
template <class Value>
Value trusted(std::optional<Value> value, const char* what) {
  if (!value) fail(Kind::internal, "the coordinator sent a {} that cannot be read; is it of another version?", what);
  return std::move(*value);
}

}  // namespace dtrain::role
