#pragma once
/// What the fuzzer of control messages runs, and the unit test on its corpus: the first byte says which message the
/// others are to be.
///
/// What is read is written again and read again: both times the same. What cannot be read is an Error in a role, and
/// nullopt in the coordinator.

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "role/council.hpp"
#include "role/keep.hpp"
#include "role/messages.hpp"

namespace dtrain::role::doors {

template <class Value>
std::optional<std::string> packed(const std::optional<Value>& value) {
  return value ? std::optional(pack(*value)) : std::nullopt;
}
template <class Value>
std::optional<std::string> packed(const Value& value) {
  return pack(value);
}

/// True if `unpack` reads it. Ends the process if what was read does not survive writing.
template <class Unpack>
bool survives(std::string_view payload, Unpack unpack) {
  const auto read = [&](std::string_view text) -> std::optional<std::string> {
    try {
      return packed(unpack(text));
    } catch (const Error&) {
      return std::nullopt;
    }
  };
  const std::optional<std::string> once = read(payload);
  if (once && read(*once) != once) std::abort();
  return once.has_value();
}

inline bool survives_events(std::string_view payload) {
  const auto events = unpack_traced(payload);
  if (events && pack(*events) != payload) std::abort();
  return events.has_value();
}

/// Whether the bytes are a message of the kind that the first of them names.
inline bool try_message(std::string_view bytes) {
  if (bytes.empty()) return false;
  const std::string_view payload = bytes.substr(1);
  switch (bytes.front()) {
    case 'p': return survives(payload, unpack_progress);
    case 'j': return survives(payload, unpack_join);
    case 'w': return survives(payload, unpack_welcome);
    case 'r': return survives(payload, unpack_ready);
    case 's': return survives(payload, unpack_start);
    case 'c': return survives(payload, unpack_cut);
    case 'f': return survives(payload, unpack_frozen);
    case 'h': return survives(payload, unpack_confession);
    case 'm': return survives(payload, unpack_membership);
    case 'b': return survives(payload, unpack_changed);
    case 't': return survives_events(payload);
    case 'e': return survives(payload, unpack_failure);
    case 'l': return survives(payload, unpack_tally);
    case 'd': return survives(payload, unpack_decision);
    case 'g': return survives(payload, unpack_coming);
    case 'k': return survives(payload, unpack_keep);
    case 'o': return survives(payload, unpack_take_over);
    default: return false;
  }
}

}  // namespace dtrain::role::doors
