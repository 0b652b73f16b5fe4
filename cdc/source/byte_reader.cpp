#include "cdc/source/byte_reader.hpp"

namespace keyshift::cdc {

void ByteReader::fail(std::string_view why) const
{
    throw FatalError({"reading the WAL message at " + lsn_.to_string(),
                      "it is not what pgoutput sends: " + std::string(why),
                      "Check that the server is PostgreSQL 15 to 18; report this with the server's version."});
}

} // namespace keyshift::cdc
