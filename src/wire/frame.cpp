#include "wire/frame.hpp"

#include <concepts>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/hash.hpp"

namespace dtrain::wire {
namespace {

constexpr std::size_t checksum_at = header_bytes - sizeof(std::uint64_t);

/// Lays integers one after another, lowest byte first whatever the host does.
class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}
  template <std::unsigned_integral T>
  void put(T value) {
    for (std::size_t k = 0; k < sizeof(T); ++k) out_[at_++] = static_cast<std::byte>((value >> (8 * k)) & 0xff);
  }

 private:
  std::span<std::byte> out_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}
  template <std::unsigned_integral T>
  T get() {
    T value = 0;
    for (std::size_t k = 0; k < sizeof(T); ++k) value = static_cast<T>(value | static_cast<T>(in_[at_++]) << (8 * k));
    return value;
  }
  template <std::unsigned_integral T>
  void get(T& value) {
    value = get<T>();
  }

 private:
  std::span<const std::byte> in_;
  std::size_t at_ = 0;
};

bool known(Type type) {
  switch (type) {
    case Type::join:
    case Type::ready:
    case Type::progress:
    case Type::left:
    case Type::failed:
    case Type::frozen:
    case Type::cut:
    case Type::changed:
    case Type::traced:
    case Type::chaos:
    case Type::sent:
    case Type::decided:
    case Type::arrived:
    case Type::welcome:
    case Type::start:
    case Type::stop:
    case Type::abort:
    case Type::lost:
    case Type::save:
    case Type::membership:
    case Type::refused:
    case Type::goodbye:
    case Type::pull:
    case Type::push:
    case Type::leave:
    case Type::mark:
    case Type::touch:
    case Type::weights:
    case Type::load:
    case Type::snapshot:
    case Type::partial:
    case Type::result:
    case Type::offer:
    case Type::answer:
    case Type::want:
    case Type::rows:
    case Type::batch:
    case Type::activations:
    case Type::output_gradient:
    case Type::group_part:
    case Type::halt:
    case Type::go:
    case Type::take_over:
    case Type::again:
    case Type::coming:
    case Type::keep:
    case Type::keep_all:
    case Type::kept:
    case Type::squares: return true;
  }
  return false;
}

bool known(Role role) { return role <= Role::loader; }

/// The whole header as it stands, magic and version passed over.
Header read_fields(std::span<const std::byte> bytes) {
  Reader in(bytes.subspan(6));
  Header header;
  header.type = Type{in.get<std::uint16_t>()};
  in.get(header.codec);
  header.sender_role = Role{in.get<std::uint16_t>()};
  in.get(header.sender_rank);
  in.get(header.nonce);
  in.get(header.incarnation);
  in.get(header.epoch);
  in.get(header.slice);
  in.get(header.sequence);
  in.get(header.clock);
  in.get(header.piece);
  in.get(header.pieces);
  in.get(header.offset);
  in.get(header.count);
  in.get(header.rows);
  in.get(header.due);
  in.get(header.note);
  in.get(header.block);
  in.get(header.place);
  in.get(header.at);
  in.get(header.payload);
  in.get(header.payload_hash);
  return header;
}

/// What is wrong with bytes before any field of them can be believed.
std::optional<std::string> envelope_fault(std::span<const std::byte> bytes) {
  if (bytes.size() != header_bytes) return fmt::format("a header has {} bytes, not {}", header_bytes, bytes.size());
  Reader in(bytes);
  if (in.get<std::uint32_t>() != magic) return "this is no header of dtrain: the magic number is wrong";
  if (const auto theirs = in.get<std::uint16_t>(); theirs != version)
    return fmt::format("the sender speaks version {} of the wire, this is version {}", theirs, version);
  if (Reader(bytes.subspan(checksum_at)).get<std::uint64_t>() != fast_hash(bytes.first(checksum_at)))
    return "the header's checksum is wrong";
  return std::nullopt;
}

/// Of a type that carries floats: whether the payload can be what the header says of it.
std::optional<std::string> floats_fault(const Header& header) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (header.payload_hash != 0) return "weights and gradients carry no hash, but one is given";
  if (header.block != 0 && (header.codec != 0 || header.payload != 0))
    return "floats in a block are neither packed nor sent";
  if (header.block != 0 && header.at > most - header.count) return "no block is that long";
  if (header.block != 0 || header.codec != 0) return std::nullopt;
  if (header.count > most / sizeof(float) || header.payload != sizeof(float) * header.count)
    return fmt::format("{} weights cannot fill {} bytes", header.count, header.payload);
  return std::nullopt;
}

/// What contradicts itself in a header that arrived as it was sent.
std::optional<std::string> field_fault(const Header& header) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (!known(header.type)) return fmt::format("message type {} is unknown", static_cast<int>(header.type));
  if (!known(header.sender_role)) return fmt::format("role {} is unknown", static_cast<int>(header.sender_role));
  if (header.piece >= header.pieces) return fmt::format("piece {} of {} does not exist", header.piece, header.pieces);
  if (header.offset > most || header.count > most - header.offset)
    return fmt::format("weights {} and {} more are beyond any vector", header.offset, header.count);
  if (!hashes_payload(header.type)) return floats_fault(header);
  if (header.codec != 0 || header.block != 0) return "only weights and gradients are packed, or lie in a block";
  return std::nullopt;
}

}  // namespace

const char* name(Role role) {
  switch (role) {
    case Role::coordinator: return "coordinator";
    case Role::server: return "server";
    case Role::worker: return "worker";
    case Role::loader: return "loader";
  }
  return "unknown role";
}

bool hashes_payload(Type type) {
  switch (type) {
    case Type::push:
    case Type::weights:
    case Type::load:
    case Type::snapshot:
    case Type::keep:
    case Type::partial:
    case Type::result:
    case Type::offer:
    case Type::answer:
    case Type::activations:
    case Type::output_gradient:
    case Type::group_part:
    case Type::batch: return false;
    default: return true;
  }
}

std::array<std::byte, header_bytes> encode(const Header& header) {
  std::array<std::byte, header_bytes> bytes;
  Writer out(bytes);
  out.put(magic);
  out.put(version);
  out.put(static_cast<std::uint16_t>(header.type));
  out.put(header.codec);
  out.put(static_cast<std::uint16_t>(header.sender_role));
  out.put(header.sender_rank);
  out.put(header.nonce);
  out.put(header.incarnation);
  out.put(header.epoch);
  out.put(header.slice);
  out.put(header.sequence);
  out.put(header.clock);
  out.put(header.piece);
  out.put(header.pieces);
  out.put(header.offset);
  out.put(header.count);
  out.put(header.rows);
  out.put(header.due);
  out.put(header.note);
  out.put(header.block);
  out.put(header.place);
  out.put(header.at);
  out.put(header.payload);
  out.put(header.payload_hash);
  out.put(fast_hash(std::span(bytes).first(checksum_at)));
  return bytes;
}

std::variant<Header, Refusal> decode(std::span<const std::byte> bytes) {
  if (auto why = envelope_fault(bytes)) return Refusal{*std::move(why)};
  const Header header = read_fields(bytes);
  if (auto why = field_fault(header)) return Refusal{*std::move(why)};
  return header;
}

}  // namespace dtrain::wire
