#pragma once
/// Rows on their way from one process to another, in pieces that a message can carry. Pure but for the socket.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/data.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// Rows of `first`, `first + stride`, .. : what `want` asks for without a payload.
struct RowRange {
  std::uint64_t first = 0, stride = 1, count = 0;
};

/// Asks `socket`'s other end for rows. `request` comes back with the answer.
void ask_for(wire::Socket& socket, const wire::Self& self, std::uint64_t request, std::span<const std::uint32_t> rows);
void ask_for(wire::Socket& socket, const wire::Self& self, std::uint64_t request, const RowRange& range);

/// The rows that a `want` names; nullopt: there is no such row among `count` rows, or it is no list.
std::optional<std::vector<std::uint32_t>> rows_wanted(const wire::Message& message, Index count);

/// Who asked for rows, and the number of the request.
struct RowOrder {
  std::string peer;
  std::uint64_t number = 0;
  static RowOrder of(const wire::Message& want) { return {want.peer, want.header.clock}; }
};

/// Answers with these rows as they lie, in `rows` messages.
void send_rows(wire::Socket& socket, const wire::Self& self, const RowOrder& order, const data::Rows& from,
               std::span<const std::uint32_t> rows);
/// Answers with all of these rows encoded, in one `batch` message: features row by row, then the targets.
void send_encoded(wire::Socket& socket, const wire::Self& self, const RowOrder& order, const data::Rows& rows);

/// Puts the pieces of one answer together.
class RowParcel {
 public:
  /// False: not a piece that is due.
  bool add(const wire::Message& message);
  bool complete() const { return pieces_ > 0 && next_ == pieces_; }
  /// Once complete. Throws Error(Kind::data) for what is no table.
  std::unique_ptr<data::Rows> open(const data::Encoding& encoding);

 private:
  std::string bytes_;
  std::uint32_t next_ = 0, pieces_ = 0;
};

}  // namespace dtrain::role
