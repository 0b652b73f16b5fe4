#include "core/secret_file.hpp"

#include "core/error.hpp"

#include <fstream>
#include <sys/stat.h>

namespace keyshift {

std::string read_secret_file(const std::string& what, const std::string& path)
{
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        throw Error(ErrorKind::configuration,
                    {"reading " + what, path + " is not there or not readable", "Name a file that holds one line."});
    }
    if ((file.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        throw Error(ErrorKind::configuration,
                    {"reading " + what, path + " can be read by others", "chmod 600 " + path});
    }
    std::ifstream in(path);
    std::string secret;
    std::getline(in, secret);
    return secret;
}

} // namespace keyshift
