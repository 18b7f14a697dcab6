# Embeds files of web/, and Swagger UI when npm can fetch it, into the api room: one assembler file
# that includes the bytes, one C file with the table. Result: asset_sources.
option(PUSHCA_SWAGGER_UI "Embed Swagger UI, fetched with npm, when npm is there" ON)

set(web ${PROJECT_SOURCE_DIR}/web)
set(asset_dir ${PROJECT_BINARY_DIR}/web)
set(swagger ${asset_dir}/node_modules/swagger-ui-dist)

# Tried once per lock file and build directory, whether it works or not; cmake --fresh tries again.
function(fetch_swagger)
  find_program(NPM npm NO_CMAKE_SYSTEM_PATH NO_CMAKE_INSTALL_PREFIX)
  file(SHA256 ${web}/package-lock.json lock)
  if(NOT NPM)
    message(STATUS "Swagger UI left out: npm is not installed")
  elseif(NOT "${PUSHCA_SWAGGER_TRIED}" STREQUAL lock)
    message(STATUS "Fetching Swagger UI with npm")
    file(REMOVE_RECURSE ${asset_dir}/node_modules)
    file(COPY ${web}/package.json ${web}/package-lock.json ${web}/.npmrc DESTINATION ${asset_dir})
    execute_process(COMMAND ${NPM} ci --ignore-scripts --silent WORKING_DIRECTORY ${asset_dir}
      TIMEOUT 60 RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(NOT result STREQUAL "0")
      file(REMOVE_RECURSE ${asset_dir}/node_modules)
      message(STATUS "Swagger UI left out: npm ci failed (${result})")
    endif()
    set(PUSHCA_SWAGGER_TRIED ${lock} CACHE INTERNAL "package-lock.json that npm was last run for")
  endif()
endfunction()

# asset(PATH TYPE FILE): serves FILE at PATH, if FILE is there.
function(asset path type file)
  if(NOT EXISTS ${file})
    return()
  endif()
  list(LENGTH asset_files n)
  file(SIZE ${file} size)
  set(asset_files ${asset_files} ${file} PARENT_SCOPE)
  set(externs "${externs}extern const unsigned char asset_${n}[];\n" PARENT_SCOPE)
  set(rows "${rows}    {\"${path}\", \"${type}\", asset_${n}, ${size}},\n" PARENT_SCOPE)
  set(included "${included}    .balign 16\n    .globl asset_${n}\nasset_${n}:\n    .incbin \"${file}\"\n"
    PARENT_SCOPE)
endfunction()

if(PUSHCA_SWAGGER_UI)
  fetch_swagger()
endif()

# Watched for appearing; the sizes in the table make a change of content configure again, too.
file(GLOB watched CONFIGURE_DEPENDS ${web}/openapi.* ${web}/swagger-ui/*)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${watched} ${web}/package-lock.json)

set(html "text/html; charset=utf-8")
set(text "text/plain; charset=utf-8")
asset(/pushca application/json ${web}/openapi.json)
asset(/pushca.yaml application/yaml ${web}/openapi.yaml)
if(PUSHCA_SWAGGER_UI AND EXISTS ${swagger}/swagger-ui-bundle.js)
  asset(/swagger-ui/index.html "${html}" ${web}/swagger-ui/index.html)
  asset(/swagger-ui/swagger-ui.css "text/css; charset=utf-8" ${swagger}/swagger-ui.css)
  asset(/swagger-ui/swagger-ui-bundle.js "text/javascript; charset=utf-8" ${swagger}/swagger-ui-bundle.js)
  asset(/swagger-ui/favicon-32x32.png image/png ${swagger}/favicon-32x32.png)
  asset(/swagger-ui/LICENSE "${text}" ${swagger}/LICENSE)
  asset(/swagger-ui/NOTICE "${text}" ${swagger}/NOTICE)
  asset(/swagger-ui/swagger-ui-bundle.js.LICENSE.txt "${text}" ${swagger}/swagger-ui-bundle.js.LICENSE.txt)
else()
  asset(/swagger-ui/index.html "${html}" ${web}/swagger-ui/missing.html)
endif()

configure_file(${CMAKE_CURRENT_LIST_DIR}/assets.c.in ${asset_dir}/assets.c @ONLY)
file(CONFIGURE OUTPUT ${asset_dir}/assets.S @ONLY CONTENT
  "    .section .note.GNU-stack,\"\",%progbits\n    .section .rodata\n@included@")
set_property(SOURCE ${asset_dir}/assets.S PROPERTY OBJECT_DEPENDS "${asset_files}")
set(asset_sources ${asset_dir}/assets.c ${asset_dir}/assets.S)
