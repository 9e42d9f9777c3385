/// Where only touched rows of the first weight matrix travel: which rows a worker needs, and what it gets of them.

#include <algorithm>
#include <cstring>

#include "plan/sparse.hpp"
#include "role/server_role.hpp"

namespace dtrain::role {
namespace {

// A worker is at most one step ahead of its push, and asks for the step after that.
constexpr std::size_t most_steps_wanted = 4;

std::vector<std::uint32_t> numbers_of(const wire::Message& message) {
  std::vector<std::uint32_t> numbers(message.size() / sizeof(std::uint32_t));
  std::memcpy(numbers.data(), message.data(), numbers.size() * sizeof(std::uint32_t));
  return numbers;
}

}  // namespace

/// It comes before the push of the step before, so that the answer to that knows what to send.
void Server::take_touched(const wire::Message& message) {
  const wire::Header& header = message.header;
  const std::size_t rank = header.sender_rank;
  if (rank >= members_.size() || members_[rank].lost || !by_rows()) return refuse(header);
  std::deque<Wanted>& wanted = members_[rank].wanted;
  const sync::Release& gate = members_[rank].gate;
  while (!wanted.empty() && wanted.front().clock < std::min(gate.clock, gate.due)) wanted.pop_front();
  std::vector<std::uint32_t> rows = numbers_of(message);
  const plan::Slice& slice = owner_.slice();
  const Index matrix_end = plan_.layout.tensors.front().count();
  const bool ascending = std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end();
  const bool ours =
      ascending && rows_within(rows, row_cols(), slice.begin, std::min(slice.end, matrix_end)).count == rows.size();
  const bool next = wanted.empty() || wanted.back().clock + 1 == header.clock;
  if (!ours || !next || wanted.size() >= most_steps_wanted || message.size() % sizeof(std::uint32_t) != 0)
    return refuse(header);
  wanted.push_back({header.clock, std::move(rows)});
}

std::span<const std::uint32_t> Server::wanted_rows(int rank, sync::Clock clock) const {
  for (const Wanted& wanted : members_[static_cast<std::size_t>(rank)].wanted)
    if (wanted.clock == clock) return wanted.rows;
  return {};
}

/// Nothing is read where it lies: the next step changes it there.
void Server::send_copy(int rank, wire::Header header, const plan::Piece& piece, const Version& version) {
  const Member& member = members_[static_cast<std::size_t>(rank)];
  const Index base = owner_.slice().begin;
  std::span<const float> values = version.weights.span().subspan(static_cast<std::size_t>(piece.offset - base),
                                                                 static_cast<std::size_t>(piece.count));
  if (piece.by_rows) {
    header.codec = plan::rows_codec;
    gather_rows(wanted_rows(rank, member.gate.clock), piece, version);
    values = row_values_;
  }
  doors_[member.route.door].send(link_.self(), header, std::as_bytes(values), member.route.peer);
}

/// A piece's part of these rows, one behind the other.
void Server::gather_rows(std::span<const std::uint32_t> rows, const plan::Piece& piece, const Version& version) {
  const Index cols = row_cols(), end = piece.offset + piece.count;
  const RowsWithin range = rows_within(rows, cols, piece.offset, end);
  row_values_.resize(static_cast<std::size_t>(range.floats()));
  float* to = row_values_.data();
  for (const std::uint32_t row : rows.subspan(range.first, range.count)) {
    const Index from = std::max(piece.offset, Index{row} * cols), until = std::min(end, (Index{row} + 1) * cols);
    to = std::copy_n(version.weights.data() + (from - owner_.slice().begin), until - from, to);
  }
}

}  // namespace dtrain::role
