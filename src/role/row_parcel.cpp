#include "role/row_parcel.hpp"

#include <cstring>
#include <numeric>

#include "data/table.hpp"

namespace dtrain::role {
namespace {

constexpr std::size_t at_once = std::size_t{8} << 20;

void ask(wire::Socket& socket, const wire::Self& self, wire::Header header, std::span<const std::byte> payload) {
  header.type = wire::Type::want;
  socket.send(self, header, payload);
}

}  // namespace

void ask_for(wire::Socket& socket, const wire::Self& self, std::uint64_t request, std::span<const std::uint32_t> rows) {
  wire::Header header;
  header.clock = request;
  ask(socket, self, header, std::as_bytes(rows));
}

void ask_for(wire::Socket& socket, const wire::Self& self, std::uint64_t request, const RowRange& range) {
  wire::Header header;
  header.clock = request;
  header.offset = range.first, header.due = range.stride, header.count = range.count;
  ask(socket, self, header, {});
}

std::optional<std::vector<std::uint32_t>> rows_wanted(const wire::Message& message, Index count) {
  const wire::Header& header = message.header;
  const auto total = static_cast<std::uint64_t>(count);
  std::vector<std::uint32_t> rows;
  if (message.size() > 0) {
    if (message.size() % sizeof(std::uint32_t) != 0) return std::nullopt;
    rows.resize(message.size() / sizeof(std::uint32_t));
    std::memcpy(rows.data(), message.data(), message.size());
    for (const std::uint32_t row : rows)
      if (row >= total) return std::nullopt;
    return rows;
  }
  const std::uint64_t stride = std::max<std::uint64_t>(1, header.due);
  if (header.offset >= total || header.count == 0 || header.count - 1 > (total - 1 - header.offset) / stride)
    return std::nullopt;
  for (std::uint64_t k = 0; k < header.count; ++k)
    rows.push_back(static_cast<std::uint32_t>(header.offset + k * stride));
  return rows;
}

void send_rows(wire::Socket& socket, const wire::Self& self, const RowOrder& order, const data::Rows& from,
               std::span<const std::uint32_t> rows) {
  const std::string bytes = from.table(rows).bytes();
  wire::Header header;
  header.type = wire::Type::rows;
  header.clock = order.number;
  header.pieces = static_cast<std::uint32_t>((bytes.size() + at_once - 1) / at_once);
  for (; header.piece < header.pieces; ++header.piece)
    socket.send(self, header, std::string_view(bytes).substr(header.piece * at_once, at_once), order.peer);
}

void send_encoded(wire::Socket& socket, const wire::Self& self, const RowOrder& order, const data::Rows& rows) {
  const Index count = rows.count(), width = rows.width();
  std::vector<float> values(static_cast<std::size_t>(count * (width + 1)));
  std::vector<std::uint32_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0u);
  rows.gather(all, Matrix(values.data(), count, width),
              std::span(values).subspan(static_cast<std::size_t>(count * width)));
  wire::Header header;
  header.type = wire::Type::batch;
  header.clock = order.number;
  header.count = values.size();
  socket.send(self, header, std::as_bytes(std::span(values)), order.peer);
}

bool RowParcel::add(const wire::Message& message) {
  if (message.header.piece != next_ || (pieces_ > 0 && message.header.pieces != pieces_)) return false;
  pieces_ = message.header.pieces;
  ++next_;
  bytes_.append(message.text());
  return true;
}

std::unique_ptr<data::Rows> RowParcel::open(const data::Encoding& encoding) {
  return data::rows_of(data::Table::from_bytes(std::move(bytes_), "rows of another process"), encoding);
}

}  // namespace dtrain::role
