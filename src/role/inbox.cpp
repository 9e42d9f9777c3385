#include "role/inbox.hpp"

#include <bit>
#include <cstring>

#include "plan/sparse.hpp"

namespace dtrain::role {
namespace {

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % alignof(float) == 0; }

}  // namespace

bool Inbox::add(const plan::Slice& slice, wire::Message message, Unpacker* unpacker, RowsSent sent) {
  const wire::Header& header = message.header;
  if (open_ && header.clock > clock_) clear();
  if (open_ && (header.clock != clock_ || header.rows != rows_)) return false;
  if (header.rows == 0) {
    if (open_) return false;
    open_ = true, clock_ = header.clock, rows_ = 0;
    loss_ = 0;
    return true;
  }
  if (header.piece >= messages_.size() || messages_[header.piece]) return false;
  const plan::Piece& piece = slice.pieces[header.piece % slice.pieces.size()];
  if (header.offset != static_cast<std::uint64_t>(piece.offset) ||
      header.count != static_cast<std::uint64_t>(piece.count))
    return false;
  const bool taken =
      piece.by_rows ? take_rows(message, piece, sent) : take_in(message, header.piece % slice.pieces.size(), unpacker);
  if (!taken) return false;
  open_ = true, clock_ = header.clock, rows_ = header.rows;
  loss_ = std::bit_cast<double>(header.note);
  ++have_;
  messages_[header.piece] = std::move(message);
  return true;
}

/// Copies what cannot be read where it lies, and unpacks what is packed. False if it is not packed as it should be.
bool Inbox::take_in(wire::Message& message, std::size_t piece, Unpacker* unpacker) {
  const wire::Header& header = message.header;
  if (header.codec != (unpacker != nullptr ? unpacker->codec() : 0)) return false;
  std::vector<float>& copy = copies_[header.piece];
  const bool in_place = header.codec == 0 && aligned(message.data()) && !(keeps_ && message.reading);
  floats_[header.piece] = static_cast<const float*>(message.data());
  if (in_place) return true;
  copy.resize(header.count);
  floats_[header.piece] = copy.data();
  if (header.codec != 0) return unpacker->unpack(piece, message.bytes(), copy);
  std::memcpy(copy.data(), message.data(), message.size());
  message.reading = {};
  return true;
}

/// False if these are not as many numbers as the rows have.
bool Inbox::take_rows(const wire::Message& message, const plan::Piece& piece, const RowsSent& sent) {
  const wire::Header& header = message.header;
  const RowsWithin range = rows_within(sent.rows, sent.cols, piece.offset, piece.offset + piece.count);
  const auto count = static_cast<std::size_t>(range.floats());
  if (header.codec != plan::rows_codec || message.size() != count * sizeof(float)) return false;
  floats_[header.piece] = static_cast<const float*>(message.data());
  if (aligned(message.data())) return true;
  std::vector<float>& copy = copies_[header.piece];
  copy.resize(count);
  if (count > 0) std::memcpy(copy.data(), message.data(), message.size());
  floats_[header.piece] = copy.data();
  return true;
}

void Inbox::clear() {
  for (auto& message : messages_) message.reset();
  have_ = 0;
  open_ = false;
}

}  // namespace dtrain::role
