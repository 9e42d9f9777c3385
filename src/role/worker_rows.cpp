/// Where only touched rows of the first weight matrix travel: a worker says which it will need, a step ahead.

#include <algorithm>
#include <cstring>

#include "plan/sparse.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

/// For all steps up to and with `clock`. The last release of a run, into no step, has no rows.
void Worker::ask_ahead(sync::Clock clock) {
  for (; by_rows() && asked_ <= clock; ++asked_) {
    const bool any = asked_ < static_cast<sync::Clock>(plan_.total_steps);
    Gathered& gathered = gathered_[asked_ % gathered_.size()];
    learner_.gather(any ? ahead_.rows(static_cast<Index>(asked_), rank_) : std::span<const std::uint32_t>(), gathered);
    gathered.first_weights.resize(gathered.first_gradient.size());
    send_touched(asked_, gathered.touched.features());
  }
}

void Worker::send_touched(sync::Clock clock, std::span<const std::uint32_t> rows) {
  const Index matrix_end = plan_.layout.tensors.front().count();
  for (std::size_t m = 0; m < servers_.size(); ++m) {
    const plan::Slice& slice = plan_.slices[m];
    const RowsWithin range = rows_within(rows, row_cols(), slice.begin, std::min(slice.end, matrix_end));
    wire::Header header;
    header.type = wire::Type::touch;
    header.slice = static_cast<std::uint32_t>(m);
    header.clock = clock;
    servers_[m].socket.send(link_.self(), header, std::as_bytes(rows.subspan(range.first, range.count)));
  }
}

/// False if these are not the rows that were asked for.
bool Worker::take_rows(const wire::Message& message, const plan::Piece& piece) {
  const sync::Clock label = message.header.clock;
  if (label >= asked_ || label + gathered_.size() < asked_) return false;
  Gathered& gathered = gathered_[label % gathered_.size()];
  const RowsWithin range =
      rows_within(gathered.touched.features(), row_cols(), piece.offset, piece.offset + piece.count);
  if (message.size() != static_cast<std::size_t>(range.floats()) * sizeof(float)) return false;
  if (message.size() > 0) std::memcpy(gathered.first_weights.data() + range.begin, message.data(), message.size());
  return true;
}

void Worker::send_rows(std::size_t server, wire::Header header, const plan::Piece& piece) {
  const Gathered& gathered = gathered_[clock_ % gathered_.size()];
  const RowsWithin range =
      rows_within(gathered.touched.features(), row_cols(), piece.offset, piece.offset + piece.count);
  header.codec = plan::rows_codec;
  servers_[server].socket.send(
      link_.self(), header,
      std::as_bytes(std::span(gathered.first_gradient)
                        .subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.floats()))));
}

}  // namespace dtrain::role
